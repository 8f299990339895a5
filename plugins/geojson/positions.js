// Which fields of a row are its position, its time and its group.

import { BadRow } from './rows.js';
import { localFrame, problemOf } from './earth.js';
import { nearest, writtenJson } from './numbers.js';

/** What people call the fields, besides what we call them. */
const NAMES = {
  longitude: ['longitude', 'lon', 'lng', 'long'],
  latitude: ['latitude', 'lat'],
  altitude: ['altitude', 'alt', 'elevation', 'ele', 'height'],
  x: ['x'],
  y: ['y'],
  z: ['z'],
  time: ['time', 'timestamp', 'datetime'],
  group: ['group', 'track', 'track_id'],
};
/** Local positions are on a plane, which is the earth so far. */
const FURTHEST = 100_000;

export class Positions {
  #columns;
  #frame;
  #axes;

  constructor(params) {
    this.#columns = params.columns;
    this.#frame = params.origin === undefined ? undefined : localFrame(params.origin);
    this.#axes = this.#frame === undefined ? ['longitude', 'latitude', 'altitude'] : ['x', 'y', 'z'];
  }

  /** Which of the names is what; throws a text when there are no coordinates among them. */
  found(names) {
    const found = {};
    for (const role of [...this.#axes, 'time', 'group']) {
      const wanted = this.#columns[role];
      if (wanted !== undefined) {
        if (!names.includes(wanted)) throw new BadRow(`there is no field ${JSON.stringify(wanted)} for the ${role}, but ${names.join(', ')}`);
        found[role] = wanted;
      } else {
        found[role] = NAMES[role].map((name) => names.find((other) => other.toLowerCase() === name)).find((name) => name !== undefined);
      }
    }
    for (const axis of this.#axes.slice(0, 2)) {
      if (found[axis] === undefined) {
        throw new BadRow(`there is no field for the ${axis}, but ${names.join(', ')}; the task's columns can name one`);
      }
    }
    return found;
  }

  /** The position of a row. */
  of(fields, found) {
    const [first, second, third] = this.#axes.map((axis) => numberOf(fields, found[axis], axis === this.#axes[2]));
    if (this.#frame === undefined) {
      const problem = problemOf(first, second);
      if (problem !== undefined) throw new BadRow(problem);
      return third === undefined ? [first, second] : [first, second, third];
    }
    if (Math.max(Math.abs(first), Math.abs(second)) > FURTHEST) {
      throw new BadRow(`${first}, ${second} is more than ${FURTHEST / 1000} km from the origin`);
    }
    return this.#frame(first, second, third);
  }

  /** The names of the fields that are coordinates, and so no properties. */
  axes(found) {
    return this.#axes.map((axis) => found[axis]);
  }
}

function numberOf(fields, name, isOptional) {
  const value = name === undefined ? undefined : nearest(fields.get(name));
  if (isOptional && (value === undefined || value === null || value === '')) return undefined;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new BadRow(`${value === undefined ? 'nothing' : shown(fields.get(name))} in ${name} is no number`);
}

/** As it stands in the file. */
function shown(value) {
  const text = writtenJson(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
