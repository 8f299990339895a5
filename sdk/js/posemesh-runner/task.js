// One task: its parameters, its inputs and outputs, and the line to whoever waits for it.

import { Artifact, Part } from './files.js';
import { Cancelled, InvalidInput, InvalidTask } from './errors.js';
import { encode } from './text.js';

/** Progress is told in steps of this size, and at each new stage. */
const STEP = 0.005;

export class Task {
  #port;
  #told;

  constructor(given, port) {
    // As the job server has them: id, jobId, domainId, capability, inputsCids, outputsPrefix, label, stage, attempts...
    Object.assign(this, given);
    this.#port = port;
    this.capabilityFilters = JSON.parse(given.capabilityFilters);
    /** The task's `meta`, read as JSON; an empty object without any. */
    this.params = JSON.parse(given.meta) ?? {};
  }

  /** A parameter; without a default a missing one is `InvalidTask`. */
  param(name, otherwise) {
    if (Object.hasOwn(this.params, name)) return this.params[name];
    if (otherwise === undefined) throw new InvalidTask(`the task's meta has no ${name}`);
    return otherwise;
  }

  /** Every part of every input, opened when its turn comes. */
  *parts() {
    for (const cid of this.inputsCids) yield* this.partsOf(cid);
  }

  /** The parts of one CID. */
  *partsOf(cid) {
    const input = this.#port.call(() => this.#port.host.open(cid));
    for (;;) {
      const part = this.#port.call(() => input.nextPart());
      if (part === undefined || part === null) return;
      yield new Part(part, this.#port.call);
    }
  }

  /** The only part of the only input. */
  onlyPart() {
    if (this.inputsCids.length !== 1) {
      throw new InvalidTask(`the task has ${this.inputsCids.length} inputs; it takes one`);
    }
    const parts = [...this.parts()];
    if (parts.length !== 1) throw new InvalidInput(`the input has ${parts.length} parts; it takes one`);
    return parts[0];
  }

  /** Starts an artifact at a relative path, whose extension says which kind of data it is. `options` may have `name`,
   * `dataType`, `existingId` and `sizeHint`. It is stored by its `finish()`. */
  create(path, options = {}) {
    return new Artifact(this.#port.call(() => this.#port.host.create(path, options)), this.#port.call);
  }

  /** Stores bytes or text that is at hand. */
  write(path, data, options = {}) {
    const bytes = typeof data === 'string' ? encode(data) : data;
    const artifact = this.create(path, { ...options, sizeHint: bytes.length });
    artifact.write(bytes);
    return artifact.finish();
  }

  /** Stores a value as JSON. */
  writeJson(path, value, options = {}) {
    return this.write(path, `${JSON.stringify(value, null, 2)}\n`, options);
  }

  /** Says how far the task is, from 0 to 1. It tells the node when that has changed enough, and asks whether to stop: then
   * it throws `Cancelled`. */
  progress(fraction, stage) {
    fraction = Math.min(Math.max(Number(fraction) || 0, 0), 1);
    const told = this.#told;
    const isLast = fraction === 1 && told?.fraction !== 1;
    if (told === undefined || told.stage !== stage || isLast || Math.abs(fraction - told.fraction) >= STEP) {
      this.#told = { fraction, stage };
      try {
        this.#port.host.progress(JSON.stringify({ progress: fraction, stage }));
      } catch {
        // What is not taken is no reason to fail.
      }
    }
    this.checkCancelled();
  }

  /** Throws `Cancelled` when the task is being stopped. */
  checkCancelled() {
    if (this.#port.host.isCancelled()) throw new Cancelled();
  }

  /** Waits, at most until the task is being stopped: then it throws `Cancelled`. */
  sleep(seconds) {
    if (this.#port.host.waitCancelled(Math.round(seconds * 1000))) throw new Cancelled();
  }

  /** Adds an event to the task's record at the job server; false when it was not taken. */
  event(event) {
    try {
      this.#port.host.logEvent(JSON.stringify(event));
      return true;
    } catch {
      return false;
    }
  }

  /** Writes a line to the node's log: `debug`, `info`, `warn` or `error`. */
  log(message, level = 'info') {
    this.#port.host.log(level, String(message));
  }

  /** What this task may use: `memoryBytes`, `scratchBytes`, `outputBytesLeft`, `timeLeftMs`. */
  budget() {
    return this.#port.host.getBudget();
  }
}
