// Inputs and artifacts as streams.

import { InvalidInput } from './errors.js';
import { decode, encode } from './text.js';

/** Bytes that are read or written in one call of the node. */
const CHUNK = 1 << 20;
/** The longest line. */
const MAX_LINE = 16 << 20;
const LINE_END = 10;
const RETURN = 13;

/** One blob of an input. */
export class Part {
  #part;
  #call;
  #read = 0;

  constructor(part, call) {
    this.#part = part;
    this.#call = call;
    /** What the domain server says of it: `name`, `dataType`, `size`, `dataId`... */
    this.info = part.info();
    this.name = this.info.name;
    this.size = Number(this.info.size);
  }

  /** How much of it the stream has read, from 0 to 1. */
  get done() {
    return this.size === 0 ? 1 : this.#read / this.size;
  }

  /** Its bytes, in chunks of which none is kept. One that breaks off throws, and is never a shorter stream. */
  *chunks() {
    for (;;) {
      const bytes = this.#call(() => this.#part.read(CHUNK));
      if (bytes.length === 0) return;
      this.#read += bytes.length;
      yield bytes;
    }
  }

  /** Its lines, as text without their ends. Text that is no UTF-8, or a line of more than 16 MiB, is `InvalidInput` with the
   * line. */
  *lines() {
    let number = 0;
    const text = (bytes) => {
      number += 1;
      const end = bytes[bytes.length - 1] === RETURN ? bytes.length - 1 : bytes.length;
      const line = decode(end === bytes.length ? bytes : bytes.subarray(0, end));
      if (line === undefined) throw new InvalidInput(`line ${number}: it is no UTF-8`);
      return line;
    };
    let rest = new Uint8Array(0);
    for (const chunk of this.chunks()) {
      const bytes = rest.length === 0 ? chunk : joined([rest, chunk]);
      let from = 0;
      for (let end = bytes.indexOf(LINE_END, from); end !== -1; end = bytes.indexOf(LINE_END, from)) {
        yield text(bytes.subarray(from, end));
        from = end + 1;
      }
      rest = bytes.slice(from);
      if (rest.length > MAX_LINE) throw new InvalidInput(`line ${number + 1}: it has more than ${MAX_LINE >> 20} MiB`);
    }
    if (rest.length > 0) yield text(rest);
  }

  /** All of its bytes: for small parts. */
  bytes() {
    return joined([...this.chunks()]);
  }

  /** All of its text: for small parts. */
  text() {
    const text = decode(this.bytes());
    if (text === undefined) throw new InvalidInput(`${this.name} is no UTF-8`);
    return text;
  }

  /** What it says as JSON: for small parts. */
  json() {
    try {
      return JSON.parse(this.text());
    } catch (error) {
      if (error instanceof SyntaxError) throw new InvalidInput(`${this.name}: ${error.message}`);
      throw error;
    }
  }

  /** Up to `maxBytes` bytes from `offset`. Keeps the part in the sandbox directory. */
  readAt(offset, maxBytes) {
    return this.#call(() => this.#part.readAt(offset, maxBytes));
  }
}

/** An artifact that is being written. It is stored by `finish`; otherwise it is not. */
export class Artifact {
  #artifact;
  #call;
  #pieces = [];
  #size = 0;

  constructor(artifact, call) {
    this.#artifact = artifact;
    this.#call = call;
  }

  /** Appends bytes or text. Small pieces are collected. */
  write(data) {
    let bytes = typeof data === 'string' ? encode(data) : data;
    while (bytes.length > CHUNK) {
      this.#send();
      const chunk = bytes.subarray(0, CHUNK);
      this.#call(() => this.#artifact.write(chunk));
      bytes = bytes.subarray(CHUNK);
    }
    // A copy: the caller may use the room again.
    this.#pieces.push(bytes.slice());
    this.#size += bytes.length;
    if (this.#size >= CHUNK) this.#send();
  }

  /** Stores it; says what was stored. */
  finish() {
    this.#send();
    return this.#call(() => this.#artifact.finish());
  }

  #send() {
    if (this.#size === 0) return;
    const bytes = joined(this.#pieces);
    this.#pieces = [];
    this.#size = 0;
    this.#call(() => this.#artifact.write(bytes));
  }
}

function joined(pieces) {
  if (pieces.length === 1) return pieces[0];
  const all = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
