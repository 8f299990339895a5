import type { Runner } from './index.js';

export interface Given {
  /** CID to text or bytes, or to the names and bytes of several parts. */
  inputs?: Record<string, string | Uint8Array | Record<string, string | Uint8Array>>;
  /** The task's parameters. */
  meta?: unknown;
  /** The runner's first, without one. */
  capability?: string;
  /** Cancels the task once so much progress was told. */
  cancelAt?: number;
  /** CID to the case that reading it ends with (`unavailable`). */
  fail?: Record<string, string>;
}

export interface Outcome {
  /** The case and the text of the error that the task ended with; undefined if it is completed. */
  readonly tag?: string;
  readonly text?: string;
  /** What was thrown. */
  readonly error?: unknown;
  readonly artifacts: Record<string, Uint8Array>;
  readonly progress: { progress: number; stage: string }[];
  readonly events: unknown[];
  readonly log: { level: string; message: string }[];
  /** The text of an artifact; undefined if it is no UTF-8. */
  textOf(path: string): string | undefined;
  /** An artifact, read as JSON. */
  json(path: string): any;
}

/** Runs a runner on a node in memory. */
export function run(made: Runner, given?: Given): Outcome;
