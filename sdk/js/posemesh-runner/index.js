// Write capability runners for posemesh nodes in JavaScript: `runner`, and the errors that say whose fault a failure was.

import { Cancelled, Failed, PortError, RunnerError } from './errors.js';
import { Task } from './task.js';

export { Cancelled, Failed, InvalidInput, InvalidTask, PortError, RunnerError } from './errors.js';

/** The version of the contract that runners are built against with this package. */
export const WIT_VERSION = '0.2.0';

/**
 * Makes a runner of a function of a task. `about` has `capabilities`, `name`, `version` and `summary`, and what it asks for
 * beyond the node's defaults: `memoryMib`, `deadlineSecs`, `cpuTimeSecs`, `scratchMib`, `outputMib`, `artifacts`,
 * `networkHosts`, `environment`, `directories`; and `metaSchema`, `homepage`, `license`.
 */
export function runner(about, run) {
  for (const name of ['name', 'version', 'summary']) {
    if (typeof about[name] !== 'string' || about[name] === '') throw new TypeError(`a runner has a ${name}`);
  }
  if (!Array.isArray(about.capabilities) || about.capabilities.length === 0) {
    throw new TypeError('a runner has one capability at least');
  }
  const mib = (value) => (value === undefined ? undefined : value * 1024 * 1024);
  const ms = (value) => (value === undefined ? undefined : value * 1000);
  const description = {
    name: about.name,
    version: about.version,
    summary: about.summary,
    capabilities: about.capabilities,
    requests: {
      memoryBytes: mib(about.memoryMib),
      deadlineMs: ms(about.deadlineSecs),
      cpuTimeMs: ms(about.cpuTimeSecs),
      scratchBytes: mib(about.scratchMib),
      outputBytes: mib(about.outputMib),
      artifacts: about.artifacts,
      networkHosts: about.networkHosts ?? [],
      environment: about.environment ?? [],
      directories: about.directories ?? [],
    },
    metaSchema: about.metaSchema,
    homepage: about.homepage,
    license: about.license,
  };
  return { description, run };
}

/** Runs a runner against a host. Returns the case and the text of its error, or undefined. */
export function runOn(host, made, given) {
  const wrapped = translating(host);
  try {
    const result = made.run(new Task(given, wrapped));
    // Nobody would wait for it, and its error would be lost.
    if (result !== null && typeof result?.then === 'function') {
      throw new Failed('the runner returned a promise: a runner is a plain function, not an async one');
    }
    return undefined;
  } catch (error) {
    return { error, ...(ranOutOfMemory(error) ? memoryLimit(host) : caseOf(error)) };
  }
}

/** Whether an error is the engine's, which has no memory left. */
function ranOutOfMemory(error) {
  return error?.name === 'InternalError' && error.message === 'out of memory';
}

/** The engine's words name no limit, and nobody who could set it. */
function memoryLimit(host) {
  const mib = Math.floor(Number(host.getBudget().memoryBytes) / (1024 * 1024));
  const text =
    `out of memory: the runner reached its limit \`memory_bytes\` of ${mib} MiB; its author asks for more by \`memoryMib\` in ` +
    'the description, the operator sets it in NAME.toml, [limits]';
  return { tag: 'failed', text };
}

/** The case of the contract that an error is, and its text. */
export function caseOf(error) {
  if (error instanceof RunnerError) return { tag: error.tag, text: error.message };
  // What an error says that the author has wrapped an error of the node into.
  if (error?.cause instanceof PortError || error?.cause instanceof Cancelled) return caseOf(error.cause);
  const text = error instanceof Error ? `${error.name}: ${error.message}` : `${error} was thrown, which is no Error`;
  return { tag: 'failed', text: text + where(error) };
}

/** The place where an error was made. */
function where(error) {
  const place = /([\w.-]+\.[cm]?[jt]s):(\d+)/.exec(error?.stack ?? '');
  return place === null ? '' : ` (${place[1]}:${place[2]})`;
}

/** The host's functions, whose errors come out as ours. */
function translating(host) {
  const call = (work) => {
    try {
      return work();
    } catch (error) {
      const payload = error?.payload;
      if (payload?.tag === undefined) throw error;
      throw payload.tag === 'cancelled' ? new Cancelled() : new PortError(payload.tag, payload.val ?? payload.tag);
    }
  };
  return { host, call };
}
