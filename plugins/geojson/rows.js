// Rows of CSV and of JSON Lines: fields with names, and the line that each is in.

import { InvalidInput } from '../../sdk/js/posemesh-runner/index.js';
import { numberOf, parseJson } from './numbers.js';
import { isObject } from './params.js';

/** A row that can't be used. */
export class BadRow extends Error {}

const DELIMITERS = [',', ';', '\t', '|'];
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** `{ line, fields }` of each row of a CSV file, or `{ line, problem }`. `lines` are its lines. */
export function* csvRows(lines) {
  let names;
  let delimiter;
  let number = 0;
  for (let text of lines) {
    number += 1;
    // A byte order mark.
    if (number === 1 && text.startsWith('\ufeff')) text = text.slice(1);
    if (text.trim() === '') continue;
    if (names === undefined) {
      const count = (sign) => text.split(sign).length;
      delimiter = DELIMITERS.reduce((best, sign) => (count(sign) > count(best) ? sign : best));
      names = headerOf(text, delimiter, number);
      yield { line: number, names };
      continue;
    }
    const values = fieldsOf(text, delimiter);
    if (values === undefined) {
      yield { line: number, problem: 'a quotation mark is not closed in this line, or is in the middle of a field' };
    } else if (values.length !== names.length) {
      yield { line: number, problem: `it has ${values.length} fields, and the header ${names.length}` };
    } else {
      yield { line: number, fields: new Map(names.map((name, index) => [name, typed(values[index])])) };
    }
  }
}

function headerOf(text, delimiter, line) {
  const names = fieldsOf(text, delimiter)?.map((name) => name.trim());
  if (names === undefined) throw new InvalidInput(`line ${line}: a quotation mark in the header is not closed`);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new InvalidInput(`line ${line}: two columns are called ${JSON.stringify(twice)}`);
  return names;
}

/** The fields of a line; undefined if its quotation marks are wrong. */
function fieldsOf(text, delimiter) {
  if (!text.includes('"')) return text.split(delimiter);
  const fields = [];
  let at = 0;
  for (;;) {
    let field = '';
    if (text[at] === '"') {
      for (;;) {
        const end = text.indexOf('"', at + 1);
        if (end === -1) return undefined;
        field += text.slice(at + 1, end);
        at = end + 1;
        if (text[at] !== '"') break;
        field += '"';
      }
      if (at < text.length && text[at] !== delimiter) return undefined;
    } else {
      const end = text.indexOf(delimiter, at);
      field = text.slice(at, end === -1 ? text.length : end);
      at += field.length;
    }
    fields.push(field);
    if (at >= text.length) return fields;
    at += 1;
  }
}

/** A number if it is written as JSON writes one: `007` is a name. */
function typed(text) {
  const trimmed = text.trim();
  return NUMBER.test(trimmed) ? numberOf(trimmed) : trimmed;
}

/** `{ line, fields }` of each line of JSON, or `{ line, feature }` of GeoJSON, or `{ line, problem }`. */
export function* jsonRows(lines) {
  let number = 0;
  for (const given of lines) {
    number += 1;
    // RFC 8142 puts a record separator before each text.
    const text = given.replace(/^[\ufeff\u001e]+/, '');
    if (text.trim() === '') continue;
    let value;
    try {
      value = parseJson(text);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      yield { line: number, problem: 'it is no JSON' };
      continue;
    }
    if (!isObject(value)) yield { line: number, problem: 'it is no JSON object' };
    else if (value.type === 'Feature') yield { line: number, feature: value };
    else yield { line: number, fields: flattened(value) };
  }
}

/** The fields of an object; those of a `position`, an object or a list, are among them. */
function flattened({ position, ...others }) {
  if (Array.isArray(position)) {
    const [x, y, z] = position;
    return new Map(Object.entries({ ...others, x, y, ...(z === undefined ? {} : { z }) }));
  }
  if (isObject(position)) return new Map(Object.entries({ ...others, ...position }));
  return new Map(Object.entries(position === undefined ? others : { ...others, position }));
}
