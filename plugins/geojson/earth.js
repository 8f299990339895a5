// Positions on WGS 84: `[longitude, latitude]` in degrees, and an altitude in metres behind them if there is one.

const RADIANS = Math.PI / 180;
/** The mean radius, for lengths. */
const RADIUS = 6371008.8;
/** The ellipsoid. */
const EQUATOR = 6378137;
const ECCENTRICITY_2 = 0.00669437999014;

/** What turns metres from an origin into a position. */
export function localFrame(origin) {
  const latitude = origin.latitude * RADIANS;
  const bend = 1 - ECCENTRICITY_2 * Math.sin(latitude) ** 2;
  // Metres in a degree, along the meridian and along the parallel of the origin.
  const north = (RADIANS * EQUATOR * (1 - ECCENTRICITY_2)) / bend ** 1.5;
  const east = (RADIANS * EQUATOR * Math.cos(latitude)) / Math.sqrt(bend);
  const [sin, cos] = [Math.sin(origin.heading * RADIANS), Math.cos(origin.heading * RADIANS)];
  return (x, y, z) => {
    const longitude = origin.longitude + (x * cos + y * sin) / east;
    const position = [((((longitude + 180) % 360) + 360) % 360) - 180, origin.latitude + (y * cos - x * sin) / north];
    if (z !== undefined) position.push(origin.altitude + z);
    return position;
  };
}

/** What is wrong with a longitude and a latitude; undefined if nothing is. */
export function problemOf(longitude, latitude) {
  if (!Number.isFinite(longitude) || !Number.isFinite(latitude)) return 'a coordinate is no number';
  if (Math.abs(latitude) > 90) {
    const hint = Math.abs(latitude) <= 180 && Math.abs(longitude) <= 90 ? ': longitude and latitude may be in the other order' : '';
    return `${latitude} is no latitude${hint}`;
  }
  if (Math.abs(longitude) > 180) return `${longitude} is no longitude`;
  return undefined;
}

/** The distance of two positions in metres, on the sphere. */
export function distance(one, other) {
  const half = (degrees) => Math.sin((degrees * RADIANS) / 2) ** 2;
  const slope =
    half(other[1] - one[1]) + Math.cos(one[1] * RADIANS) * Math.cos(other[1] * RADIANS) * half(other[0] - one[0]);
  return 2 * RADIUS * Math.asin(Math.min(1, Math.sqrt(slope)));
}

/** Distances that are computed between two looks at whether to stop. */
const STEP = 50_000;

/**
 * Which positions of a line are left so that none that goes was further than `tolerance` metres from the line (Douglas and
 * Peucker). The first and the last stay. `tick` is called now and then.
 */
export function simplified(line, tolerance, tick = () => {}) {
  if (!(tolerance > 0) || line.length < 3) return line;
  const flat = flattened(line);
  const keeps = new Uint8Array(line.length);
  keeps[0] = keeps[line.length - 1] = 1;
  let computed = 0;
  // A stack, since a long line would be too deep a recursion.
  const pending = [0, line.length - 1];
  while (pending.length > 0) {
    const to = pending.pop();
    const from = pending.pop();
    const at = furthest(flat, from, to, tolerance * tolerance);
    if (at !== -1) {
      keeps[at] = 1;
      pending.push(from, at, at, to);
    }
    computed += to - from;
    if (computed > STEP) {
      computed = 0;
      tick();
    }
  }
  return line.filter((_, index) => keeps[index] === 1);
}

/** A line in metres, east and north, with what an eastward metre at each position is of one at the equator. */
function flattened(line) {
  const [east, north, narrow] = [0, 1, 2].map(() => new Float64Array(line.length));
  const scale = RADIANS * RADIUS;
  let turns = 0;
  for (let index = 0; index < line.length; index += 1) {
    const [longitude, latitude] = line[index];
    const step = index === 0 ? 0 : longitude - line[index - 1][0];
    // On across the antimeridian.
    if (step > 180) turns -= 360;
    else if (step < -180) turns += 360;
    east[index] = (longitude + turns) * scale;
    north[index] = latitude * scale;
    narrow[index] = Math.cos(latitude * RADIANS);
  }
  return { east, north, narrow };
}

/** The position between two others that is furthest from the piece between them, on a plane around it; -1 if none is further than
 * the tolerance, of which this is the square. Without objects: it is nearly all that there is to do for a long line. */
function furthest({ east, north, narrow }, from, to, tolerance) {
  const [fromEast, fromNorth, acrossEast, acrossNorth] = [east[from], north[from], east[to] - east[from], north[to] - north[from]];
  let most = tolerance;
  let at = -1;
  for (let index = from + 1; index < to; index += 1) {
    const width = narrow[index];
    const x = (east[index] - fromEast) * width;
    const y = north[index] - fromNorth;
    const dx = acrossEast * width;
    const length = dx * dx + acrossNorth * acrossNorth;
    let share = length === 0 ? 0 : (x * dx + y * acrossNorth) / length;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    const awayX = x - share * dx;
    const awayY = y - share * acrossNorth;
    const away = awayX * awayX + awayY * awayY;
    if (away > most) {
      most = away;
      at = index;
    }
  }
  return at;
}

/** The pieces of a line that is cut where it crosses the antimeridian, as RFC 7946 3.1.9 wants it. */
export function cutAtAntimeridian(line) {
  const pieces = [[]];
  for (const [index, position] of line.entries()) {
    const last = line[index - 1];
    if (last !== undefined && Math.abs(position[0] - last[0]) > 180) {
      const side = last[0] > 0 ? 180 : -180;
      const there = position[0] + 2 * side;
      // A line along the antimeridian itself does not cross it.
      const share = there === last[0] ? 0 : (side - last[0]) / (there - last[0]);
      const between = last.slice(0, Math.min(last.length, position.length)).map((value, axis) => value + share * (position[axis] - value));
      pieces.at(-1).push([side, ...between.slice(1)]);
      pieces.push([[-side, ...between.slice(1)]]);
    }
    pieces.at(-1).push(position);
  }
  return pieces;
}

/** A bounding box that grows: the smallest, across the antimeridian if that is smaller. */
export class Box {
  #plain = [Infinity, -Infinity];
  #shifted = [Infinity, -Infinity];
  #latitudes = [Infinity, -Infinity];
  #goesOverZero = false;

  /** Takes what lies between the positions of a line or a ring, which are in it already and do not cross the antimeridian. */
  addBetween(positions) {
    const [west, east] = positions.reduce(([least, most], [longitude]) => [Math.min(least, longitude), Math.max(most, longitude)], [0, 0]);
    this.#goesOverZero ||= west < 0 && east > 0;
  }

  add([longitude, latitude]) {
    grow(this.#plain, longitude);
    grow(this.#shifted, longitude < 0 ? longitude + 360 : longitude);
    grow(this.#latitudes, latitude);
  }

  /** West, south, east, north; undefined while it is empty. */
  bounds() {
    const [south, north] = this.#latitudes;
    if (south === Infinity) return undefined;
    let [west, east] = this.#plain;
    // What goes over the meridian of Greenwich is in one piece from west to east alone.
    if (!this.#goesOverZero && this.#shifted[1] - this.#shifted[0] < east - west) {
      const back = (longitude) => (longitude > 180 ? longitude - 360 : longitude);
      [west, east] = this.#shifted.map(back);
    }
    return [west, south, east, north];
  }
}

function grow(range, value) {
  range[0] = Math.min(range[0], value);
  range[1] = Math.max(range[1], value);
}
