// What a component exports. Its imports are the node's ports, so nothing else can load this file.

import * as control from 'posemesh:runner/control@0.2.0';
import * as inputs from 'posemesh:runner/inputs@0.2.0';
import * as outputs from 'posemesh:runner/outputs@0.2.0';

import { runOn } from './index.js';
import { decode, encode } from './text.js';

const host = {
  open: inputs.open,
  create: outputs.create,
  progress: control.progress,
  logEvent: control.logEvent,
  log: control.log,
  isCancelled: control.isCancelled,
  waitCancelled: control.waitCancelled,
  getBudget: control.getBudget,
};

// What people expect of an engine, and this one lacks.
const say = (level) => (...words) =>
  control.log(level, words.map((word) => (typeof word === 'string' ? word : (JSON.stringify(word) ?? String(word)))).join(' '));
globalThis.console ??= { debug: say('debug'), log: say('info'), info: say('info'), warn: say('warn'), error: say('error') };
globalThis.TextEncoder ??= class TextEncoder {
  encode(text = '') {
    return encode(String(text));
  }
};
globalThis.TextDecoder ??= class TextDecoder {
  decode(bytes = new Uint8Array(0)) {
    const text = decode(bytes);
    if (text === undefined) throw new TypeError('the bytes are no UTF-8');
    return text;
  }
};

/** The export of the contract, of a runner. */
export function component(made) {
  return {
    describe: () => made.description,
    run: (task) => {
      const failed = runOn(host, made, task);
      if (failed === undefined) return;
      if (failed.tag === 'failed') control.log('error', String(failed.error?.stack ?? failed.text));
      const error = new Error(failed.text);
      // What the engine takes for the contract's error.
      error.payload = failed.tag === 'cancelled' ? { tag: 'cancelled' } : { tag: failed.tag, val: failed.text };
      throw error;
    },
  };
}
