// Makes valid GeoJSON of trajectories, positions and other GeoJSON.

import { InvalidInput, runner } from '../../sdk/js/posemesh-runner/index.js';
import { Box } from './earth.js';
import { BadGeometry, Geometries } from './geometry.js';
import { parseJson, writtenJson } from './numbers.js';
import { SCHEMA, isObject, paramsOf } from './params.js';
import { Positions } from './positions.js';
import { BadRow, csvRows, jsonRows } from './rows.js';

/** Positions of lines that are held until the last row was read. */
const MOST_POSITIONS = 500_000;
/** Lines that are held. */
const MOST_LINES = 10_000;
/** A GeoJSON text that is not by lines has to be read at once. */
const LARGEST_TEXT = 16 << 20;
/** Broken rows that are told one by one. */
const TOLD = 10;
/** Rows between two reports of progress, which also ask whether to stop. */
const STEP = 500;

export default runner(
  {
    capabilities: ['/posemesh/geojson/v1'],
    name: 'geojson',
    version: '0.1.0',
    summary: 'Makes valid GeoJSON of trajectories, positions and other GeoJSON.',
    memoryMib: 384,
    metaSchema: SCHEMA,
    license: 'MIT OR Apache-2.0',
  },
  (task) => {
    const params = paramsOf(task);
    const part = task.onlyPart();
    const conversion = new Conversion(task, part, params);
    conversion.run();
    task.writeJson('summary.json', conversion.summary());
  },
);

class Conversion {
  #task;
  #part;
  #params;
  #box = new Box();
  #geometries;
  #collection;
  #positions;
  #lines = new Map();
  #held = 0;
  #rows = 0;
  #bad = { count: 0, first: [] };
  #format;

  constructor(task, part, params) {
    this.#task = task;
    this.#part = part;
    this.#params = params;
    this.#geometries = new Geometries(params, this.#box, () => task.checkCancelled());
    this.#positions = new Positions(params);
    this.#collection = new Collection(task);
  }

  run() {
    const lines = this.#part.lines();
    const head = [];
    for (let text = lines.next(); !text.done; text = lines.next()) {
      head.push(text.value);
      if (text.value.trim() !== '') break;
    }
    const first = head.at(-1) ?? '';
    if (first.trim() === '') throw new InvalidInput(`${this.#part.name} is empty`);
    this.#format = this.#params.format === 'auto' ? formatOf(first) : this.#params.format;
    const all = chained(head, lines);
    if (this.#format === 'geojson') this.#convertText(all);
    else this.#convertRows(this.#format === 'csv' ? csvRows(all) : jsonRows(all));
    if (this.#collection.count === 0) {
      const bad = this.#bad.first[0];
      const why = bad === undefined ? 'it has no rows' : `of ${this.#bad.count} rows none can be used; line ${bad.line}: ${bad.problem}`;
      throw new InvalidInput(`${this.#part.name} has nothing to convert: ${why}`);
    }
    this.#collection.finish(this.#box.bounds());
    this.#task.progress(1, 'writing');
  }

  /** Rows, one at a time. Points and features are written as they come; lines when the last row is read. */
  #convertRows(rows) {
    let found;
    for (const row of rows) {
      if (row.names !== undefined) {
        // The header of CSV: without coordinates in it there is no use in going on.
        found = this.#fieldsFor(row.names, row.line);
        continue;
      }
      this.#rows += 1;
      if (this.#rows % STEP === 0) this.#task.progress(this.#part.done * 0.9, 'reading');
      try {
        if (row.problem !== undefined) throw new BadRow(row.problem);
        if (row.feature !== undefined) this.#collection.add(this.#feature(row.feature, 'the feature'));
        else this.#addRow(row.fields, found ?? this.#positions.found([...row.fields.keys()]), row.line);
      } catch (error) {
        if (!(error instanceof BadRow || error instanceof BadGeometry)) throw error;
        this.#isBad(row.line, error.message);
      }
    }
    let written = 0;
    for (const [group, line] of this.#lines) {
      this.#task.progress(0.9 + (0.1 * written++) / this.#lines.size, 'writing');
      this.#collection.add(this.#lineFeature(group, line));
    }
  }

  #fieldsFor(names, line) {
    try {
      return this.#positions.found(names);
    } catch (error) {
      if (error instanceof BadRow) throw new InvalidInput(`line ${line}: ${error.message}`);
      throw error;
    }
  }

  #addRow(fields, found, line) {
    const position = this.#positions.of(fields, found);
    this.#geometries.positionsIn += 1;
    if (this.#params.geometry === 'points') {
      const axes = this.#positions.axes(found);
      const properties = Object.fromEntries([...fields].filter(([name]) => !axes.includes(name)));
      this.#collection.add({ type: 'Feature', geometry: this.#geometries.point(position), properties });
      return;
    }
    const group = found.group === undefined ? undefined : fields.get(found.group);
    const time = found.time === undefined ? undefined : fields.get(found.time);
    let held = this.#lines.get(group);
    if (held === undefined) {
      if (this.#lines.size === MOST_LINES) {
        throw new InvalidInput(
          `line ${line}: there are more than ${MOST_LINES} different values in ${found.group}; the task can ask for points, which are not held`,
        );
      }
      held = { positions: [], start: time, end: time, label: found.group };
      this.#lines.set(group, held);
    }
    held.positions.push(position);
    held.end = time;
    this.#held += 1;
    if (this.#held > MOST_POSITIONS) {
      throw new InvalidInput(
        `line ${line}: lines of more than ${MOST_POSITIONS} positions are not held; the task can ask for points, which are not, or the file be split`,
      );
    }
  }

  #lineFeature(group, { positions, start, end, label }) {
    // A line of one position is a point.
    const geometry = positions.length === 1 ? this.#geometries.point(positions[0]) : this.#geometries.line(positions);
    const properties = { positions: positions.length };
    if (group !== undefined) properties[label] = group;
    if (start !== undefined) Object.assign(properties, { start, end });
    return { type: 'Feature', geometry, properties };
  }

  #isBad(line, problem) {
    if (this.#params.bad_rows === 'fail') throw new InvalidInput(`line ${line} of ${this.#part.name}: ${problem}`);
    this.#bad.count += 1;
    if (this.#bad.first.length < TOLD) this.#bad.first.push({ line, problem });
  }

  /** A whole GeoJSON text. */
  #convertText(lines) {
    let text = '';
    for (const line of lines) {
      if (text.length + line.length > LARGEST_TEXT) {
        throw new InvalidInput(
          `${this.#part.name} has more than ${LARGEST_TEXT >> 20} MiB in one JSON text; GeoJSON with a feature in each line has no such limit`,
        );
      }
      text += `${line}\n`;
      this.#task.progress(this.#part.done * 0.4, 'reading');
    }
    const given = parsed(text, this.#part.name);
    const crs = given.crs?.properties?.name;
    if (crs !== undefined && !/(CRS84|EPSG:+4326)$/.test(crs)) {
      throw new InvalidInput(`${this.#part.name} is in the coordinates of ${JSON.stringify(crs)}; GeoJSON is in WGS 84`);
    }
    const isCollection = given.type === 'FeatureCollection';
    const features = isCollection ? given.features : [given];
    if (!Array.isArray(features)) throw new InvalidInput(`${this.#part.name}: features is no list`);
    for (const [index, one] of features.entries()) {
      if (index % STEP === 0) this.#task.progress(0.5 + (0.5 * index) / features.length, 'converting');
      const where = isCollection ? `features[${index}]` : 'the text';
      this.#rows += 1;
      try {
        this.#collection.add(this.#feature(one, where));
      } catch (error) {
        if (error instanceof BadGeometry) throw new InvalidInput(`${this.#part.name}: ${error.message}`);
        throw error;
      }
    }
  }

  #feature(given, where) {
    if (!isObject(given)) throw new BadGeometry(`${where} is no JSON object`);
    // A geometry alone is a feature without properties.
    if (given.type !== 'Feature') return { type: 'Feature', geometry: this.#geometries.of(given, where), properties: null };
    const { geometry, properties = null, bbox: _, type, ...others } = given;
    if (properties !== null && !isObject(properties)) throw new BadGeometry(`${where}.properties is no JSON object`);
    return { type, ...others, geometry: this.#geometries.of(geometry, `${where}.geometry`), properties };
  }

  summary() {
    return {
      format: this.#format,
      rows: this.#rows,
      features: this.#collection.count,
      positions_in: this.#geometries.positionsIn,
      positions_out: this.#geometries.positionsOut,
      // Millimetres.
      length_m: Math.round(this.#geometries.length * 1000) / 1000,
      bbox: this.#box.bounds() ?? null,
      bad_rows: this.#bad.count,
      first_bad_rows: this.#bad.first,
    };
  }
}

/** A feature collection that is written as its features come. Begun with the first, so that a failed task begins none. */
class Collection {
  #task;
  #file;
  count = 0;

  constructor(task) {
    this.#task = task;
  }

  add(feature) {
    this.#file ??= this.#task.create('features.geojson', { dataType: 'geojson' });
    this.#file.write(`${this.count === 0 ? '{"type":"FeatureCollection","features":[' : ','}\n${writtenJson(feature)}`);
    this.count += 1;
  }

  finish(bounds) {
    this.#file.write(`\n]${bounds === undefined ? '' : `,"bbox":${JSON.stringify(bounds)}`}}\n`);
    this.#file.finish();
  }
}

function* chained(first, rest) {
  yield* first;
  yield* rest;
}

/** The format that a file with this line has. */
function formatOf(line) {
  const text = line.replace(/^[\ufeff\u001e]+/, '').trimStart();
  if (!text.startsWith('{') && !text.startsWith('[')) return 'csv';
  try {
    const value = JSON.parse(text);
    return isObject(value) && value.type !== undefined && value.type !== 'Feature' ? 'geojson' : 'jsonl';
  } catch {
    return 'geojson';
  }
}

function parsed(text, name) {
  try {
    const value = parseJson(text.replace(/^\ufeff/, ''));
    if (isObject(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new InvalidInput(`${name} is no JSON: ${error.message}`);
  }
  throw new InvalidInput(`${name} is no GeoJSON: the JSON text is no object`);
}
