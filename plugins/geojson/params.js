// The parameters of a task.

import { InvalidTask } from '../../sdk/js/posemesh-runner/index.js';

export const FORMATS = ['auto', 'csv', 'jsonl', 'geojson'];

export const SCHEMA = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "format": { "enum": ["auto", "csv", "jsonl", "geojson"], "default": "auto" },
    "geometry": { "description": "What becomes of rows", "enum": ["lines", "points"], "default": "lines" },
    "columns": {
      "description": "Which field of a row is what, where its name does not say so",
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "longitude": { "type": "string" }, "latitude": { "type": "string" }, "altitude": { "type": "string" },
        "x": { "type": "string" }, "y": { "type": "string" }, "z": { "type": "string" },
        "time": { "type": "string" }, "group": { "type": "string" }
      }
    },
    "origin": {
      "description": "Positions are metres from here: x to the right, y ahead, z up; heading is where ahead is, in degrees from north",
      "type": "object",
      "additionalProperties": false,
      "required": ["longitude", "latitude"],
      "properties": {
        "longitude": { "type": "number", "minimum": -180, "maximum": 180 },
        "latitude": { "type": "number", "minimum": -89, "maximum": 89 },
        "altitude": { "type": "number", "minimum": -1e5, "maximum": 1e5, "default": 0 },
        "heading": { "type": "number", "minimum": -360, "maximum": 360, "default": 0 }
      }
    },
    "coordinate_order": {
      "description": "The order in the input's GeoJSON; the output always has the longitude first",
      "enum": ["lon-lat", "lat-lon"], "default": "lon-lat"
    },
    "simplify_m": { "description": "How far, in metres, a line may be from where it was", "type": "number", "minimum": 0, "maximum": 1e7, "default": 0 },
    "precision": { "description": "Decimals of degrees", "type": "integer", "minimum": 0, "maximum": 12, "default": 7 },
    "bad_rows": { "enum": ["fail", "skip"], "default": "fail" }
  }
}`;

const COLUMNS = ['longitude', 'latitude', 'altitude', 'x', 'y', 'z', 'time', 'group'];

/** What a task asks for. Anything else in its meta is a mistake of the submitter. */
export function paramsOf(task) {
  const given = task.params;
  if (!isObject(given)) throw new InvalidTask("the task's meta is no JSON object");
  const params = {
    format: oneOf(given, 'format', FORMATS),
    geometry: oneOf(given, 'geometry', ['lines', 'points']),
    columns: columnsOf(given.columns),
    origin: originOf(given.origin),
    coordinate_order: oneOf(given, 'coordinate_order', ['lon-lat', 'lat-lon']),
    simplify_m: number(given, 'simplify_m', 0, 0, 1e7),
    precision: number(given, 'precision', 7, 0, 12, 'whole number'),
    bad_rows: oneOf(given, 'bad_rows', ['fail', 'skip']),
  };
  onlyKnown(given, Object.keys(params), "the task's meta");
  return params;
}

export function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function onlyKnown(given, known, where) {
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) {
      throw new InvalidTask(`${where} has ${JSON.stringify(name)}, which means nothing here; it can have ${known.join(', ')}`);
    }
  }
}

function oneOf(given, name, values) {
  const value = given[name] ?? values[0];
  if (!values.includes(value)) throw new InvalidTask(`${name} is ${JSON.stringify(value)}; it can be ${values.join(', ')}`);
  return value;
}

function number(given, name, otherwise, least, greatest, kind = 'number') {
  const value = given[name] ?? otherwise;
  const isOne = typeof value === 'number' && (kind === 'number' || Number.isInteger(value));
  if (!isOne || !(value >= least && value <= greatest)) {
    // One that is too large for the engine would be null in JSON.
    const shown = typeof value === 'number' ? String(value) : JSON.stringify(value) ?? 'missing';
    throw new InvalidTask(`${name} is ${shown}; it is a ${kind} from ${least} to ${greatest}`);
  }
  return value;
}

function columnsOf(given = {}) {
  if (!isObject(given)) throw new InvalidTask('columns is no JSON object');
  onlyKnown(given, COLUMNS, 'columns');
  for (const [name, column] of Object.entries(given)) {
    if (typeof column !== 'string') throw new InvalidTask(`columns.${name} is ${JSON.stringify(column)}; it is the name of a field`);
  }
  return given;
}

function originOf(given) {
  if (given === undefined || given === null) return undefined;
  if (!isObject(given)) throw new InvalidTask('origin is no JSON object');
  onlyKnown(given, ['longitude', 'latitude', 'altitude', 'heading'], 'origin');
  return {
    longitude: number(given, 'longitude', undefined, -180, 180),
    // Beyond it degrees of longitude are too small for metres to mean anything.
    latitude: number(given, 'latitude', undefined, -89, 89),
    altitude: number(given, 'altitude', 0, -1e5, 1e5),
    heading: number(given, 'heading', 0, -360, 360),
  };
}
