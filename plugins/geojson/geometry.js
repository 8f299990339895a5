// Geometries of GeoJSON (RFC 7946), made valid: what has one meaning is corrected, anything else is an error with its place.

import { cutPolygon } from './antimeridian.js';
import { cutAtAntimeridian, distance, problemOf, simplified } from './earth.js';
import { nearest } from './numbers.js';
import { isObject } from './params.js';

/** What is wrong, and where: `coordinates[3][0]`. */
export class BadGeometry extends Error {}

/** Collections in collections. */
const DEEPEST = 8;

/** Makes geometries valid, simple, rounded and with the longitude first, and counts what they have. `tick` is called now and then. */
export class Geometries {
  #params;
  #scale;
  #box;
  #tick;
  positionsIn = 0;
  positionsOut = 0;
  length = 0;

  constructor(params, box, tick) {
    this.#params = params;
    this.#scale = 10 ** params.precision;
    this.#box = box;
    this.#tick = tick;
  }

  /** The geometry of one that is in a file; null stays null. */
  of(given, where, depth = 0) {
    if (given === null || given === undefined) return null;
    if (!isObject(given)) throw new BadGeometry(`${where} is no JSON object`);
    const { type, coordinates } = given;
    const at = `${where}.coordinates`;
    switch (type) {
      case 'Point':
        return { type, coordinates: this.#written(this.#position(coordinates, at)) };
      case 'MultiPoint':
        return { type, coordinates: list(coordinates, at).map((one, index) => this.#written(this.#position(one, `${at}[${index}]`))) };
      case 'LineString':
        return this.line(this.#positions(coordinates, at, 2));
      case 'MultiLineString': {
        const lines = list(coordinates, at).map((one, index) => this.line(this.#positions(one, `${at}[${index}]`, 2)));
        return { type, coordinates: lines.flatMap((line) => (line.type === 'LineString' ? [line.coordinates] : line.coordinates)) };
      }
      case 'Polygon':
        return polygons(this.#polygon(coordinates, at), false);
      case 'MultiPolygon':
        return polygons(list(coordinates, at).flatMap((one, index) => this.#polygon(one, `${at}[${index}]`)), true);
      case 'GeometryCollection': {
        if (depth === DEEPEST) throw new BadGeometry(`${where}: collections are more than ${DEEPEST} deep`);
        const parts = list(given.geometries, `${where}.geometries`);
        return { type, geometries: parts.map((one, index) => this.of(one, `${where}.geometries[${index}]`, depth + 1)) };
      }
      default:
        throw new BadGeometry(`${where}.type is ${JSON.stringify(type) ?? 'missing'}, which is no geometry`);
    }
  }

  /** A line of positions that are valid already: in several pieces if it crosses the antimeridian. */
  line(positions) {
    for (let index = 1; index < positions.length; index += 1) this.length += distance(positions[index - 1], positions[index]);
    const pieces = cutAtAntimeridian(simplified(positions, this.#params.simplify_m, this.#tick));
    const written = pieces.map((piece) => this.#between(piece));
    if (written.length === 1) return { type: 'LineString', coordinates: written[0] };
    return { type: 'MultiLineString', coordinates: written };
  }

  /** A point of a position that is valid already. */
  point(position) {
    return { type: 'Point', coordinates: this.#written(position) };
  }

  /** The coordinates of the polygons that one is: two or more if it crosses the antimeridian. */
  #polygon(given, where) {
    const rings = list(given, where).map((ring, index) => this.#ring(ring, `${where}[${index}]`, index === 0));
    if (rings.length === 0) return [rings];
    const parts = cutPolygon(rings);
    // A sliver beyond the antimeridian may have no area with so few decimals.
    const wide = parts.length === 1 ? parts : parts.filter(([outer]) => this.#isArea(outer));
    return wide.map((part) => {
      const kept = part.filter((ring, index) => index === 0 || parts.length === 1 || this.#isArea(ring));
      return kept.map((ring) => this.#between(ring));
    });
  }

  /** Whether a ring has three positions at least with the decimals that are written. */
  #isArea(ring) {
    return new Set(ring.map(([longitude, latitude]) => `${this.#rounded(longitude)} ${this.#rounded(latitude)}`)).size >= 3;
  }

  #ring(given, where, isOuter) {
    const ring = this.#positions(given, where, 3);
    // The last position is the first one, with its altitude (RFC 7946 3.1.6).
    if (same(ring[0], ring.at(-1))) ring.pop();
    ring.push(ring[0]);
    if (ring.length < 4) throw new BadGeometry(`${where} has ${ring.length - 1} positions; a ring has three at least`);
    for (let index = 1; index < ring.length; index += 1) this.length += distance(ring[index - 1], ring[index]);
    const simple = simplified(ring, this.#params.simplify_m, this.#tick);
    // One that would be no area any more stays as it is.
    const kept = simple.length < 4 ? ring : simple;
    // Counter-clockwise outside, clockwise inside.
    if (area(kept) > 0 !== isOuter) kept.reverse();
    if (!this.#isArea(kept)) {
      throw new BadGeometry(`${where} is no area any more with ${this.#params.precision} decimals (precision)`);
    }
    return kept;
  }

  #positions(given, where, least) {
    const positions = list(given, where);
    if (positions.length < least) throw new BadGeometry(`${where} has ${positions.length} positions; it needs ${least}`);
    return positions.map((position, index) => this.#position(position, `${where}[${index}]`));
  }

  #position(given, where) {
    const values = list(given, where).map(nearest);
    if (values.length < 2 || !values.every((value) => typeof value === 'number' && Number.isFinite(value))) {
      throw new BadGeometry(`${where} is no position: two numbers, or three with an altitude`);
    }
    this.positionsIn += 1;
    const [first, second, ...others] = values;
    const position = this.#params.coordinate_order === 'lat-lon' ? [second, first] : [first, second];
    const problem = problemOf(...position);
    if (problem !== undefined) throw new BadGeometry(`${where}: ${problem}`);
    // What stands behind the altitude means nothing (RFC 7946 3.1.1).
    return [...position, ...others.slice(0, 1)];
  }

  /** The positions of a line or a ring, as they are written. */
  #between(positions) {
    const written = positions.map((position) => this.#written(position));
    this.#box.addBetween(written);
    return written;
  }

  #written([longitude, latitude, altitude]) {
    this.positionsOut += 1;
    const position = [this.#rounded(longitude), this.#rounded(latitude)];
    this.#box.add(position);
    // Millimetres; a number that large has none.
    if (altitude !== undefined) position.push(Math.abs(altitude) < 1e12 ? Math.round(altitude * 1000) / 1000 : altitude);
    return position;
  }

  #rounded(degrees) {
    return Math.round(degrees * this.#scale) / this.#scale;
  }
}

function polygons(coordinates, isMany) {
  return isMany || coordinates.length > 1 ? { type: 'MultiPolygon', coordinates } : { type: 'Polygon', coordinates: coordinates[0] };
}

function list(value, where) {
  if (!Array.isArray(value)) throw new BadGeometry(`${where} is ${value === undefined ? 'missing' : 'no list'}`);
  return value;
}

function same(one, other) {
  return one[0] === other[0] && one[1] === other[1];
}

/** Twice the area of a ring in square degrees; positive if it is counter-clockwise. It may cross the antimeridian. */
function area(ring) {
  let sum = 0;
  // How often the antimeridian was crossed, to the east.
  let turns = 0;
  let before = 0;
  for (let index = 1; index < ring.length; index += 1) {
    const step = ring[index][0] - ring[index - 1][0];
    if (step < -180) turns += 1;
    if (step > 180) turns -= 1;
    const east = ring[index][0] - ring[0][0] + 360 * turns;
    sum += before * (ring[index][1] - ring[0][1]) - east * (ring[index - 1][1] - ring[0][1]);
    before = east;
  }
  return sum;
}
