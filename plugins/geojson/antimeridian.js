// Polygons across the antimeridian, cut into parts on either side of it (RFC 7946 3.1.9).

/** A polygon that crosses it more often is left as it is: what is that wild is no area of the earth. */
const MOST_PIECES = 2000;

/** A ring with longitudes that go on beyond 180 degrees in place of jumping, and how far it has come round. */
function unwound(ring) {
  let turns = 0;
  const positions = ring.map((position, index) => {
    const step = index === 0 ? 0 : position[0] - ring[index - 1][0];
    if (step > 180) turns -= 360;
    else if (step < -180) turns += 360;
    return [position[0] + turns, ...position.slice(1)];
  });
  return { positions, round: turns };
}

/** Whether a ring jumps from one side of the antimeridian to the other, but not along it: what goes along it was cut before. */
function crosses(ring) {
  let jumps = false;
  for (let index = 1; index < ring.length; index += 1) {
    const [from, to] = [ring[index - 1][0], ring[index][0]];
    if (Math.abs(to - from) <= 180) continue;
    if (Math.abs(from) === 180 && Math.abs(to) === 180) return false;
    jumps = true;
  }
  return jumps;
}

/** The polygons that one is cut into: itself if it does not cross the antimeridian. Its rings are closed, the outer one
 * counter-clockwise and the others clockwise. */
export function cutPolygon(rings) {
  if (!rings.some(crosses)) return [rings];
  const [outer, ...holes] = rings.map(unwound);
  if (Math.abs(outer.round) > 360 || holes.some(({ round }) => round !== 0)) return [rings];
  const border = outer.round === 0 ? outer.positions : closedOverPole(rings[0]);
  const [least, greatest] = range(border);
  const parts = [];
  const whole = [border, ...holes.map(({ positions }) => beside(positions, least, greatest))];
  for (let west = -180 + 360 * Math.floor((least + 180) / 360); west < greatest; west += 360) {
    const part = cutBand(whole, west, west + 360);
    if (part === undefined) return [rings];
    parts.push(...part);
  }
  return parts.length === 0 ? [rings] : parts;
}

/** A hole, where the outer ring is that has these longitudes. */
function beside(positions, least, greatest) {
  const [west] = range(positions);
  const shift = 360 * Math.ceil((least - west) / 360);
  const moved = positions.map(([longitude, ...others]) => [longitude + shift, ...others]);
  return range(moved)[1] <= greatest ? moved : positions;
}

/** A ring round a pole has no inside on the map until it goes over that pole: from the antimeridian to the other side of the map, to
 * the pole, and along it back. The pole is the nearer one. */
function closedOverPole(ring) {
  const open = ring.slice(0, -1);
  const start = open.findIndex(([longitude], index) => Math.abs(longitude - open.at(index - 1)[0]) > 180);
  const order = [...open.slice(start), ...open.slice(0, start)];
  const [first] = order;
  const side = first[0] < 0 ? -180 : 180;
  const there = at(order.at(-1), [first[0] - 2 * side, ...first.slice(1)], -side);
  const pole = open.reduce((sum, [, latitude]) => sum + latitude, 0) < 0 ? -90 : 90;
  const { positions } = unwound([[side, ...there.slice(1)], ...order]);
  const closed = [...positions, there, [-side, pole], [side, pole], positions[0]];
  return area(closed) < 0 ? closed.toReversed() : closed;
}

/** Twice the area of a ring on the map; positive if it is counter-clockwise. */
function area(ring) {
  let sum = 0;
  const [origin] = ring;
  for (let index = 1; index < ring.length; index += 1) {
    const [one, other] = [ring[index - 1], ring[index]];
    sum += (one[0] - origin[0]) * (other[1] - origin[1]) - (other[0] - origin[0]) * (one[1] - origin[1]);
  }
  return sum;
}

function range(ring) {
  return ring.reduce(([least, most], [longitude]) => [Math.min(least, longitude), Math.max(most, longitude)], [Infinity, -Infinity]);
}

/** What of a polygon lies between two meridians, moved to where longitudes are from -180 to 180; undefined if it is in too many
 * pieces. */
function cutBand(rings, west, east) {
  const [whole, chains] = [[], []];
  for (const ring of rings) {
    const pieces = inside(ring, west, east);
    if (pieces === undefined) whole.push(ring);
    else for (const piece of pieces) chains.push(piece);
    if (chains.length > MOST_PIECES) return undefined;
  }
  const closed = joined(chains, west, east);
  for (const ring of whole) if (area(ring) > 0) closed.push(ring);
  const parts = closed.map((ring) => [ring]);
  for (const hole of whole.filter((ring) => area(ring) <= 0)) {
    (parts.find(([ring]) => contains(ring, hole)) ?? parts[0])?.push(hole);
  }
  const back = (ring) => ring.map(([longitude, ...others]) => [longitude - west - 180, ...others]);
  return parts.map((part) => part.map(back));
}

/** The pieces of a ring between two meridians, each from edge to edge; undefined if it is all there, and none if nothing is. */
function inside(ring, west, east) {
  const open = ring.slice(0, -1);
  const isIn = ([longitude]) => longitude > west && longitude < east;
  if (open.every(([longitude]) => longitude >= west && longitude <= east)) return undefined;
  // From a position that is not inside, so that no piece is parted by the end of the list.
  const start = open.findIndex((position) => !isIn(position));
  const order = [...open.slice(start), ...open.slice(0, start), open[start]];
  const pieces = [];
  let piece;
  for (let index = 1; index < order.length; index += 1) {
    const [from, to] = [order[index - 1], order[index]];
    const [enter, leave] = between(from, to, west, east);
    if (enter === undefined) continue;
    piece ??= [enter];
    piece.push(leave);
    if (!isIn(leave)) {
      pieces.push(piece);
      piece = undefined;
    }
  }
  return pieces;
}

/** The ends of what of an edge lies between two meridians; nothing of an edge along one does. */
function between(from, to, west, east) {
  if (Math.max(from[0], to[0]) <= west || Math.min(from[0], to[0]) >= east) return [];
  const clamped = (position, other) => {
    const edge = position[0] < west ? west : position[0] > east ? east : undefined;
    return edge === undefined ? position : at(position, other, edge);
  };
  return [clamped(from, to), clamped(to, from)];
}

/** Where the edge between two positions meets a meridian. */
function at(from, to, longitude) {
  const share = to[0] === from[0] ? 0 : (longitude - from[0]) / (to[0] - from[0]);
  const axes = Math.min(from.length, to.length);
  return [longitude, ...from.slice(1, axes).map((value, index) => value + share * (to[index + 1] - value))];
}

/** Joins pieces to rings along the edges. The inside is on the left of each: up the eastern edge, down the western one. */
function joined(pieces, west, east) {
  // How far round the edges a place is, counter-clockwise from the south-eastern corner.
  const along = ([longitude, latitude]) => (longitude === east ? latitude + 90 : 270 - (latitude + 90));
  const rings = [];
  const left = new Set(pieces);
  for (const first of pieces) {
    if (!left.delete(first)) continue;
    const ring = [...first];
    for (;;) {
      const from = along(ring.at(-1));
      const ahead = (piece) => (((along(piece[0]) - from) % 360) + 360) % 360;
      const next = [...left, first].reduce((best, piece) => (ahead(piece) < ahead(best) ? piece : best));
      ring.push(...corners(ring.at(-1), next[0], west, east));
      if (next === first) break;
      left.delete(next);
      for (const position of next) ring.push(position);
    }
    ring.push(ring[0]);
    const tidy = ring.filter((position, index) => index === 0 || !isSame(position, ring[index - 1]));
    if (tidy.length > 3 && area(tidy) > 0) rings.push(tidy);
  }
  return rings;
}

/** The corners at the poles between two places on the edges. */
function corners(from, to, west, east) {
  if (from[0] === to[0]) return [];
  return from[0] === east ? [[east, 90], [west, 90]] : [[west, -90], [east, -90]];
}

function isSame(one, other) {
  return one[0] === other[0] && one[1] === other[1];
}

/** Whether a ring has a position of another one inside, by a ray to the north. */
function contains(ring, [[longitude, latitude]]) {
  let isInside = false;
  for (let index = 1; index < ring.length; index += 1) {
    const [from, to] = [ring[index - 1], ring[index]];
    if (from[0] > longitude === to[0] > longitude) continue;
    if (at(from, to, longitude)[1] > latitude) isInside = !isInside;
  }
  return isInside;
}
