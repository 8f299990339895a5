// Numbers that the engine can't hold, such as ids above 2^53 and `1e999`. They are texts with a mark until they are written, where
// they get the digits that they had.

/** No text of JSON begins so by accident, and one that does is a number for all the same. */
const MARK = '\u0000#';
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** What a number has that may be one of those: sixteen digits in a row, with a point among them or not, or a large exponent. */
const SUSPICIOUS = /[\d.]{16}|[eE][+-]?\d{3}/;
/** A marked number as a value: a quotation mark inside of a text has a backslash before it, and a name has a colon behind it. */
const WRITTEN = /(?<=^|[:,[])"\\u0000#(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)"(?!:)/g;

/** The number that a literal of JSON stands for; the literal, with a mark, if the engine would make another number of it. */
export function numberOf(literal) {
  const value = Number(literal);
  return !SUSPICIOUS.test(literal) || isSame(literal, value) ? value : MARK + literal;
}

/** The nearest number to what numberOf has made; anything else stays as it is. */
export function nearest(value) {
  return isMarked(value) ? Number(value.slice(MARK.length)) : value;
}

/** Parses JSON, by numberOf. */
export function parseJson(text) {
  return JSON.parse(SUSPICIOUS.test(text) ? marked(text) : text);
}

/** Writes JSON, with the digits that numbers had. */
export function writtenJson(value) {
  const text = JSON.stringify(value);
  return text !== undefined && text.includes('\\u0000#') ? text.replace(WRITTEN, '$1') : text;
}

function isMarked(value) {
  return typeof value === 'string' && value.startsWith(MARK);
}

/** Whether a number is the one that a literal says, in decimal digits. */
function isSame(literal, value) {
  if (!Number.isFinite(value)) return false;
  const [one, other] = [digitsOf(literal), digitsOf(String(value))];
  return one.digits === other.digits && (one.digits === '' || one.exponent === other.exponent);
}

/** The digits of a number without zeros at either end, and the power of ten that the last of them stands for. */
function digitsOf(literal) {
  const [mantissa, power = '0'] = literal.replace('-', '').toLowerCase().split('e');
  const [whole, decimals = ''] = mantissa.split('.');
  const all = (whole + decimals).replace(/^0+/, '');
  const digits = all.replace(/0+$/, '');
  return { digits, exponent: Number(power) - decimals.length + all.length - digits.length };
}

/** The text with marked numbers in place of those that the engine can't hold. What is no JSON stays none. */
function marked(text) {
  const pieces = [];
  let at = 0;
  for (;;) {
    const quote = text.indexOf('"', at);
    const outside = text.slice(at, quote === -1 ? text.length : quote);
    pieces.push(outside.replace(NUMBER, (literal, start) => {
      const value = numberOf(literal);
      // A number in place of a name is no JSON, and its mark would make it some.
      const isName = /^\s*:/.test(outside.slice(start + literal.length, start + literal.length + 100));
      return typeof value === 'number' || isName ? literal : `"\\u0000#${literal}"`;
    }));
    if (quote === -1) return pieces.join('');
    at = endOfString(text, quote);
    pieces.push(text.slice(quote, at));
  }
}

/** Where the text goes on behind the string that begins here. */
function endOfString(text, quote) {
  for (let at = quote + 1; ; at += 1) {
    at = text.indexOf('"', at);
    if (at === -1) return text.length;
    let slashes = 0;
    while (text[at - 1 - slashes] === '\\') slashes += 1;
    if (slashes % 2 === 0) return at + 1;
  }
}
