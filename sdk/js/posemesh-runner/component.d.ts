import type { Runner } from './index.js';

/** The export `entry` of the contract, of a runner. */
export function component(made: Runner): { describe(): object; run(task: object): void };
