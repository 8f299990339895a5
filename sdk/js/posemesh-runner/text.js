// UTF-8, for engines that have no TextEncoder.

// Looked up before the SDK makes one of these functions.
const NATIVE = typeof TextEncoder === 'function' ? new TextEncoder() : undefined;

/** Characters that are made at a time. */
const BATCH = 4096;

/** The bytes of a text. */
export function encode(text) {
  if (NATIVE !== undefined) return NATIVE.encode(text);
  const bytes = new Uint8Array(text.length * 3);
  let at = 0;
  for (let index = 0; index < text.length; index += 1) {
    let code = text.codePointAt(index);
    if (code > 0xffff) index += 1;
    // Half of a pair stands for nothing.
    if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
    if (code < 0x80) {
      bytes[at++] = code;
    } else if (code < 0x800) {
      bytes[at++] = 0xc0 | (code >> 6);
      bytes[at++] = 0x80 | (code & 0x3f);
    } else if (code < 0x10000) {
      bytes[at++] = 0xe0 | (code >> 12);
      bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[at++] = 0x80 | (code & 0x3f);
    } else {
      bytes[at++] = 0xf0 | (code >> 18);
      bytes[at++] = 0x80 | ((code >> 12) & 0x3f);
      bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[at++] = 0x80 | (code & 0x3f);
    }
  }
  return bytes.slice(0, at);
}

/** Anything but ASCII. */
const OTHER = /[^\x00-\x7f]/;

/** The text of bytes; undefined if they are no UTF-8. */
export function decode(bytes) {
  // Mostly it is ASCII, which the engine turns into text much faster than a loop does.
  if (bytes.length <= BATCH) {
    const ascii = String.fromCharCode.apply(null, bytes);
    if (!OTHER.test(ascii)) return ascii;
  }
  let text = '';
  let codes = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++];
    let code = first;
    if (first >= 0x80) {
      const more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
      if (first < 0xc2 || first > 0xf4 || at + more > bytes.length) return undefined;
      code = first & (0x3f >> more);
      for (let count = 0; count < more; count += 1) {
        const next = bytes[at++];
        if ((next & 0xc0) !== 0x80) return undefined;
        code = (code << 6) | (next & 0x3f);
      }
      const least = [0x80, 0x800, 0x10000][more - 1];
      if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined;
    }
    codes.push(code);
    if (codes.length === BATCH) {
      text += String.fromCodePoint(...codes);
      codes = [];
    }
  }
  return text + String.fromCodePoint(...codes);
}
