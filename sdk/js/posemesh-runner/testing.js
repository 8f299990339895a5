// Tests of runners, without a component, a node or a network: the node is in memory.
//
//     const outcome = run(app, { inputs: { 'a.txt': 'one\ntwo\n' }, meta: { column: 'x' } });
//     assert.equal(outcome.tag, undefined);
//     assert.deepEqual(outcome.json('lines.json'), { lines: 2 });

import { runOn } from './index.js';
import { decode, encode } from './text.js';

/**
 * Runs a runner. `inputs` is an object of CID to text or bytes, or to an object of the names and bytes of several parts.
 * `fail` is an object of CID to the case that reading it ends with (`unavailable`); `cancelAt` cancels the task once so much
 * progress was told. The outcome has `tag` and `text` of the error, `artifacts`, `progress`, `events` and `log`.
 */
export function run(made, { inputs = {}, meta = null, capability, cancelAt, fail = {} } = {}) {
  const outcome = { artifacts: {}, progress: [], events: [], log: [] };
  let isCancelled = false;
  const portError = (tag, val) => Object.assign(new Error(val), { payload: { tag, val } });
  const host = {
    open: (cid) => {
      if (!Object.hasOwn(inputs, cid)) throw portError('not-found', `there is no input ${cid}`);
      const given = inputs[cid];
      const isOfParts = typeof given === 'object' && !(given instanceof Uint8Array);
      const parts = Object.entries(isOfParts ? given : { [cid]: given });
      return {
        nextPart: () => {
          const next = parts.shift();
          return next === undefined ? undefined : partOf(next[0], bytesOf(next[1]), fail[cid], portError);
        },
      };
    },
    create: (path) => {
      if (path.split('/').some((name) => ['', '.', '..'].includes(name))) {
        throw portError('invalid-call', `the path ${path} of an artifact: it is relative, with names between its slashes`);
      }
      const pieces = [];
      return {
        write: (bytes) => bytes.forEach((byte) => pieces.push(byte)),
        finish: () => {
          outcome.artifacts[path] = Uint8Array.from(pieces);
          return { logicalPath: path, name: path, dataType: path.split('.').pop(), size: pieces.length };
        },
      };
    },
    progress: (json) => {
      outcome.progress.push(JSON.parse(json));
      if (cancelAt !== undefined && outcome.progress.at(-1).progress >= cancelAt) isCancelled = true;
    },
    logEvent: (json) => void outcome.events.push(JSON.parse(json)),
    log: (level, message) => void outcome.log.push({ level, message }),
    isCancelled: () => isCancelled,
    // Does not wait: a test of a runner that sleeps need not take as long.
    waitCancelled: () => isCancelled,
    getBudget: () => ({ memoryBytes: 2 ** 29, scratchBytes: 2 ** 32, outputBytesLeft: 2 ** 34, timeLeftMs: 600_000 }),
  };
  const failed = runOn(host, made, {
    id: '00000000-0000-0000-0000-000000000000',
    capability: capability ?? made.description.capabilities[0],
    capabilityFilters: 'null',
    inputsCids: Object.keys(inputs),
    meta: JSON.stringify(meta),
  });
  const text = (path) => decode(outcome.artifacts[path]);
  return { ...outcome, ...failed, textOf: text, json: (path) => JSON.parse(text(path)) };
}

function bytesOf(data) {
  return typeof data === 'string' ? encode(data) : data;
}

function partOf(name, bytes, failure, portError) {
  let at = 0;
  // One that is to fail fails before its last byte.
  const end = failure === undefined ? bytes.length : Math.max(bytes.length - 1, 0);
  const dataType = name.includes('.') ? name.split('.').pop() : '';
  return {
    info: () => ({ dataId: '', name, dataType, size: bytes.length, domainId: '' }),
    read: (maxBytes) => {
      const chunk = bytes.slice(at, Math.min(at + maxBytes, end));
      if (chunk.length === 0 && failure !== undefined) throw portError(failure, `reading ${name} fails, as the test wants`);
      at += chunk.length;
      return chunk;
    },
    readAt: (offset, maxBytes) => bytes.slice(offset, offset + maxBytes),
  };
}
