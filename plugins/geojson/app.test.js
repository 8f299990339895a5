import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { InvalidTask, runner } from '../../sdk/js/posemesh-runner/index.js';
import { run } from '../../sdk/js/posemesh-runner/testing.js';
import app from './app.js';
import { cutPolygon } from './antimeridian.js';
import { cutAtAntimeridian, distance, simplified } from './earth.js';
import { parseJson, writtenJson } from './numbers.js';
import { SCHEMA, paramsOf } from './params.js';

const WALK = 'time,lat,lon,alt\n0,52.5,13.4,34\n1,52.501,13.401,35.5\n2,52.502,13.4,36\n';

function converted(data, meta, name = 'walk.csv') {
  const outcome = run(app, { inputs: { [name]: data }, meta });
  assert.equal(outcome.tag, undefined, outcome.text);
  return { ...outcome.json('features.geojson'), summary: outcome.json('summary.json') };
}

function failed(data, meta, options = {}) {
  const outcome = run(app, { inputs: { 'walk.csv': data }, meta, ...options });
  assert.deepEqual(outcome.artifacts, {}, 'a task that fails stores nothing');
  return [outcome.tag, outcome.text];
}

const geometryOf = (geometry, meta) => converted(JSON.stringify(geometry), meta).features[0].geometry;

test('a trajectory becomes a line with the longitude first and a bounding box', () => {
  const { type, features, bbox, summary } = converted(WALK);
  assert.equal(type, 'FeatureCollection');
  assert.deepEqual(features, [
    {
      type: 'Feature',
      geometry: { type: 'LineString', coordinates: [[13.4, 52.5, 34], [13.401, 52.501, 35.5], [13.4, 52.502, 36]] },
      properties: { positions: 3, start: 0, end: 2 },
    },
  ]);
  assert.deepEqual(bbox, [13.4, 52.5, 13.401, 52.502]);
  assert.ok(Math.abs(summary.length_m - 260.4) < 1, `${summary.length_m} m`);
});

test('points keep their other fields as properties', () => {
  const { features } = converted('name;lon;lat\n"a;b";1;2\n007;3;4\n', { geometry: 'points' });
  assert.deepEqual(features[0], { type: 'Feature', geometry: { type: 'Point', coordinates: [1, 2] }, properties: { name: 'a;b' } });
  assert.equal(features[1].properties.name, '007', 'a name of digits stays one');
});

test('a group has a line of its own, whatever the order of its rows', () => {
  const { features } = converted('track,lon,lat\na,1,1\nb,5,5\na,2,2\n');
  assert.deepEqual(features.map(({ geometry, properties }) => [geometry.type, properties.track]), [['LineString', 'a'], ['Point', 'b']]);
});

test('metres from an origin become positions', () => {
  const origin = { longitude: 13.4, latitude: 52.5, altitude: 30 };
  const north = converted('x,y,z\n0,0,0\n0,1000,5\n', { origin }).features[0].geometry.coordinates;
  assert.deepEqual(north[0], [13.4, 52.5, 30]);
  assert.ok(Math.abs(north[1][1] - 52.5 - 1000 / 111_267) < 1e-5 && north[1][0] === 13.4 && north[1][2] === 35, `${north[1]}`);
  const east = converted('x,y\n0,0\n0,1000\n', { origin: { ...origin, heading: 90 } }).features[0].geometry.coordinates;
  assert.ok(east[1][0] > 13.41 && Math.abs(east[1][1] - 52.5) < 1e-9, 'ahead is east');
  assert.match(failed('x,y\n0,200000\n', { origin })[1], /more than 100 km from the origin/);
});

test('JSON Lines can have positions as lists, as objects, and as features', () => {
  const lines = ['{"position": [1, 2, 3]}', '\u001e{"position": {"lon": 4, "lat": 5}, "name": "x"}', '{"type":"Feature","geometry":null,"properties":null}'];
  const origin = { longitude: 0, latitude: 0 };
  assert.equal(converted(lines[0], { origin, geometry: 'points' }).features.length, 1);
  const { features, summary } = converted(`${lines[1]}\n${lines[2]}\n`, { geometry: 'points' });
  assert.deepEqual([features[0].geometry.coordinates, features[0].properties, features[1].geometry], [[4, 5], { name: 'x' }, null]);
  assert.equal(summary.format, 'jsonl');
});

test('rings are closed and turned, and positions have no more than an altitude', () => {
  const clockwise = [[0, 0], [0, 1], [1, 1, 5, 6]];
  assert.deepEqual(geometryOf({ type: 'Polygon', coordinates: [clockwise, clockwise] }).coordinates, [
    [[0, 0], [1, 1, 5], [0, 1], [0, 0]],
    [[0, 0], [0, 1], [1, 1, 5], [0, 0]],
  ]);
});

test('coordinates in the other order are put right when the task says so', () => {
  assert.deepEqual(geometryOf({ type: 'Point', coordinates: [52.5, 113.4] }, { coordinate_order: 'lat-lon' }).coordinates, [113.4, 52.5]);
  const [tag, text] = failed('{"type":"Point","coordinates":[52.5,113.4]}');
  assert.equal(tag, 'invalid-input');
  assert.match(text, /the text.coordinates: 113.4 is no latitude: longitude and latitude may be in the other order/);
});

test('what is wrong with a geometry is told with its place', () => {
  for (const [geometry, wanted] of [
    [{ type: 'Polygon', coordinates: [[[0, 0], [1, 1], [0, 0]]] }, /coordinates\[0\] has 2 positions; a ring has three/],
    [{ type: 'MultiPoint', coordinates: [[0, 0], ['1', 1]] }, /coordinates\[1\] is no position/],
    [{ type: 'LineString', coordinates: [[0, 0]] }, /has 1 positions; it needs 2/],
    [{ type: 'Circle', coordinates: [0, 0] }, /"Circle", which is no geometry/],
    [{ type: 'GeometryCollection', geometries: [{ type: 'Point' }] }, /geometries\[0\].coordinates is missing/],
  ]) {
    const feature = { type: 'Feature', geometry, properties: {} };
    const [tag, text] = failed(JSON.stringify({ type: 'FeatureCollection', features: [feature] }));
    assert.equal(tag, 'invalid-input');
    assert.match(text, wanted);
    assert.match(text, /features\[0\]\.geometry/);
  }
});

test('collections that are too deep are refused, and not followed', () => {
  let geometry = { type: 'Point', coordinates: [0, 0] };
  for (let depth = 0; depth < 12; depth += 1) geometry = { type: 'GeometryCollection', geometries: [geometry] };
  assert.match(failed(JSON.stringify(geometry))[1], /more than 8 deep/);
});

test('other coordinates than those of WGS 84 are refused', () => {
  const crs = { type: 'name', properties: { name: 'urn:ogc:def:crs:EPSG::25833' } };
  assert.match(failed(JSON.stringify({ type: 'FeatureCollection', crs, features: [] }))[1], /EPSG::25833.*WGS 84/);
});

test('a line across the antimeridian is cut, and its bounding box is the small one', () => {
  const { features, bbox } = converted('lon,lat\n179,10\n-179,12\n');
  assert.deepEqual(features[0].geometry, { type: 'MultiLineString', coordinates: [[[179, 10], [180, 11]], [[-180, 11], [-179, 12]]] });
  assert.deepEqual(bbox, [179, 10, -179, 12]);
  assert.equal(cutAtAntimeridian([[180, 0], [-180, 1]]).length, 2);
});

test('a simplified line is nowhere further away than the tolerance', () => {
  const line = Array.from({ length: 2000 }, (_, index) => [index * 1e-5, Math.sin(index / 100) * 1e-3]);
  const simple = simplified(line, 5);
  assert.ok(simple.length > 10 && simple.length < 200, `${simple.length} positions`);
  assert.deepEqual([simple[0], simple.at(-1)], [line[0], line.at(-1)]);
  const furthest = Math.max(...line.map((position) => Math.min(...dense(simple).map((other) => distance(position, other)))));
  assert.ok(furthest < 6, `${furthest} m`);
});

function dense(line) {
  return line.slice(1).flatMap((to, index) => Array.from({ length: 40 }, (_, step) => {
    const from = line[index];
    return [from[0] + ((to[0] - from[0]) * step) / 39, from[1] + ((to[1] - from[1]) * step) / 39];
  }));
}

test('a broken row ends the task with its line, or is left out and told', () => {
  const data = 'lon,lat\n1,2\n3\nx,4\n5,95\n"6,7\n8,9\n';
  assert.deepEqual(failed(data), ['invalid-input', 'line 3 of walk.csv: it has 1 fields, and the header 2']);
  const { summary } = converted(data, { bad_rows: 'skip' });
  assert.deepEqual([summary.rows, summary.bad_rows, summary.features], [6, 4, 1]);
  assert.deepEqual(summary.first_bad_rows.map(({ line }) => line), [3, 4, 5, 6]);
  assert.equal(summary.first_bad_rows[1].problem, '"x" in lon is no number');
});

test('files without anything to convert say why', () => {
  assert.match(failed('')[1], /walk.csv is empty/);
  assert.match(failed('lon,lat\n')[1], /it has no rows/);
  assert.match(failed('a,b\n1,2\n')[1], /line 1: there is no field for the longitude, but a, b/);
  assert.match(failed('lon,lat\nx,1\n', { bad_rows: 'skip' })[1], /line 2: "x" in lon is no number/);
  assert.match(failed('{"type": "FeatureCollection",\n"features": [}')[1], /is no JSON/);
});

test('parameters that mean nothing are the fault of the task', () => {
  for (const meta of [{ simplify: 1 }, { format: 'gpx' }, { precision: 1.5 }, { simplify_m: -1 }, { origin: {} }, { columns: { x: 1 } }, [1]]) {
    assert.equal(failed(WALK, meta)[0], 'invalid-task', JSON.stringify(meta));
  }
  assert.deepEqual(Object.keys(JSON.parse(SCHEMA).properties), Object.keys({ ...paramsOf({ params: {} }), origin: undefined }));
});

test('a download that breaks off is not the fault of the input, and a cancelled task stores nothing', () => {
  assert.equal(failed(WALK, {}, { fail: { 'walk.csv': 'unavailable' } })[0], 'unavailable');
  const many = `lon,lat\n${'1,2\n'.repeat(400_000)}`;
  assert.equal(failed(many, { geometry: 'points' }, { cancelAt: 0.3 })[0], 'cancelled');
});

test('rings are closed, turned and whole, across the antimeridian too', () => {
  const ring = (coordinates, meta) => {
    return geometryOf({ type: 'Polygon', coordinates: [coordinates] }, meta).coordinates[0];
  };
  const across = [[170, 0, 1], [-170, 0, 1], [-170, 10, 1], [170, 10, 1], [170, 0, 2]];
  const halves = [
    [[180, 10, 1], [170, 10, 1], [170, 0, 1], [180, 0, 1], [180, 10, 1]],
    [[-180, 0, 1], [-170, 0, 1], [-170, 10, 1], [-180, 10, 1], [-180, 0, 1]],
  ];
  for (const given of [across, [...across.slice(0, -1), across[0]].toReversed()]) {
    const cut = geometryOf({ type: 'Polygon', coordinates: [given] });
    assert.equal(cut.type, 'MultiPolygon');
    assert.deepEqual(cut.coordinates.map(([outer]) => outer), halves);
  }
  assert.deepEqual(ring([[0, 0], [0, 1], [1, 1]]), [[0, 0], [1, 1], [0, 1], [0, 0]]);
  const small = { type: 'Polygon', coordinates: [[[1, 1], [1.2, 1], [1.2, 1.2], [1, 1]]] };
  assert.match(failed(JSON.stringify(small), { precision: 0 })[1], /no area any more with 0 decimals/);
  const [high] = converted('lon,lat,alt\n1,2,1e306\n', { geometry: 'points' }).features;
  assert.deepEqual(high.geometry.coordinates, [1, 2, 1e306]);
});

test('a polygon across the antimeridian is cut with its holes, and round a pole it goes over that', () => {
  const box = (west, south, east, north) => [[west, south], [east, south], [east, north], [west, north], [west, south]];
  const hole = (...edges) => box(...edges).toReversed();
  const spans = (polygon) => polygon.map((ring) => {
    const values = (axis) => ring.map((position) => position[axis]);
    return [Math.min(...values(0)), Math.min(...values(1)), Math.max(...values(0)), Math.max(...values(1))];
  });
  const onLeft = (polygon) => polygon.forEach((ring, index) => assert.ok(areaOf(ring) > 0 === (index === 0), `${ring}`));
  // A hole on either side, and one that is cut itself.
  const cut = cutPolygon([box(170, 0, -170, 10), hole(172, 1, 174, 2), hole(-176, 1, -174, 2), hole(178, 4, -178, 6)]);
  cut.forEach(onLeft);
  assert.deepEqual(cut.map(spans), [
    [[170, 0, 180, 10], [172, 1, 174, 2]],
    [[-180, 0, -170, 10], [-176, 1, -174, 2]],
  ]);
  // 20 by 10 degrees without the holes.
  const whole = cut.flat().reduce((sum, ring) => sum + areaOf(ring), 0) / 2;
  assert.ok(Math.abs(whole - (200 - 2 - 2 - 8)) < 1e-9, `${whole}`);

  // One that crosses twice has two parts on one side.
  const comb = [[170, 0], [-170, 0], [-170, 2], [175, 2], [175, 8], [-170, 8], [-170, 10], [170, 10], [170, 0]];
  const parts = cutPolygon([comb]);
  parts.forEach(onLeft);
  assert.deepEqual(parts.map((part) => spans(part)[0]), [[170, 0, 180, 10], [-180, 0, -170, 2], [-180, 8, -170, 10]]);

  for (const [latitude, pole] of [[70, 90], [-70, -90]]) {
    const round = [0, 90, 180, -90, 0].map((longitude) => [longitude, latitude]);
    for (const given of [round, round.toReversed()]) {
      const [cap, ...none] = cutPolygon([given]);
      assert.deepEqual([none, spans(cap)], [[], [[-180, Math.min(latitude, pole), 180, Math.max(latitude, pole)]]]);
      onLeft(cap);
      assert.ok(Math.abs(areaOf(cap[0]) / 2 - 360 * 20) < 1e-9);
    }
  }
  // A box has what lies between positions too.
  const shelf = { type: 'Polygon', coordinates: [[[-60, -78], [60, -70], [170, -72], [-130, -76], [-60, -78]]] };
  assert.deepEqual(converted(JSON.stringify(shelf)).bbox, [-180, -90, 180, -70]);
  assert.deepEqual(converted('lon,lat\n-100,0\n-20,0\n60,0\n120,0\n').bbox, [-100, 0, 120, 0]);
  // What goes along the antimeridian was cut before.
  for (const cutBefore of [[box(-180, -90, 180, 90)], [box(170, 0, 180, 10)]]) assert.deepEqual(cutPolygon(cutBefore), [cutBefore]);
  // A part that is nothing any more with the decimals that are written goes; the other one stays.
  const sliver = geometryOf({ type: 'Polygon', coordinates: [box(170, 0, -179.9999, 10)] }, { precision: 2 });
  assert.deepEqual([sliver.type, sliver.coordinates[0].length], ['Polygon', 5]);
});

function areaOf(ring) {
  return ring.slice(1).reduce((sum, [x, y], index) => sum + ring[index][0] * y - x * ring[index][1], 0);
}

test('numbers that the engine does not have keep their digits', () => {
  const text = (data, meta) => {
    const outcome = run(app, { inputs: { data }, meta });
    assert.equal(outcome.tag, undefined, outcome.text);
    return new TextDecoder().decode(outcome.artifacts['features.geojson'].data ?? outcome.artifacts['features.geojson']);
  };
  const large = '9007199254740993';
  const csv = text(`id,lon,lat,size\n${large},13.40495400000000012,52,1e999\n1,2,3,0.1\n`, { geometry: 'points' });
  assert.ok(csv.includes(`"id":${large},"size":1e999}`) && csv.includes('[13.404954,52]') && csv.includes('"size":0.1}'), csv);
  const feature = `{"type":"Feature","id":${large},"geometry":{"type":"Point","coordinates":[1.00000000000000001,2]},"properties":{"a\\"12345678901234567890":[-1e-400,"${large}"]}}`;
  for (const data of [feature, `{"type":"FeatureCollection","features":[\n${feature}]}`]) {
    const written = text(data);
    assert.ok(written.includes(`"id":${large}`) && written.includes(`{"a\\"12345678901234567890":[-1e-400,"${large}"]}`), written);
    assert.ok(written.includes('"coordinates":[1,2]'), written);
  }
  // Two groups that would be one.
  const { features } = converted('track,lon,lat\n9007199254740992,1,1\n9007199254740993,2,2\n');
  assert.equal(features.length, 2);
  assert.match(failed('lon,lat\n1e999,2\n')[1], /1e999 in lon is no number/);
  assert.match(failed('{"type":"Point","coordinates":[1e999,2]}')[1], /is no position/);
});

test('texts that look like marked numbers leave JSON what it is', () => {
  for (const text of [
    String.raw`{"a":"\"\u0000#5"}`,
    String.raw`{"\u0000#5":1}`,
    String.raw`["\\\"\u0000#5",12345678901234567890,{"b":1e999}]`,
  ]) {
    assert.equal(writtenJson(parseJson(text)), text);
  }
  assert.throws(() => parseJson('{12345678901234567890:1}'), SyntaxError);
  assert.throws(() => parseJson('{12345678901234567890 :1}'), SyntaxError);
});

test('parameters that are out of range are told with their range', () => {
  for (const [meta, wanted] of [
    ['{"simplify_m": -1}', 'simplify_m is -1; it is a number from 0 to 10000000'],
    ['{"simplify_m": 1e999}', 'simplify_m is Infinity; it is a number from 0 to 10000000'],
    ['{"simplify_m": "1"}', 'simplify_m is "1"; it is a number from 0 to 10000000'],
    ['{"precision": 1.5}', 'precision is 1.5; it is a whole number from 0 to 12'],
    ['{"precision": 13}', 'precision is 13; it is a whole number from 0 to 12'],
    ['{"precision": -1}', 'precision is -1; it is a whole number from 0 to 12'],
    ['{"origin": {"latitude": 1}}', 'longitude is missing; it is a number from -180 to 180'],
    ['{"origin": {"longitude": 181, "latitude": 1}}', 'longitude is 181; it is a number from -180 to 180'],
    ['{"origin": {"longitude": 1, "latitude": 90}}', 'latitude is 90; it is a number from -89 to 89'],
    ['{"origin": {"longitude": 1, "latitude": 1, "heading": 1e999}}', 'heading is Infinity; it is a number from -360 to 360'],
    ['{"origin": {"longitude": 1, "latitude": 1, "altitude": -1e6}}', 'altitude is -1000000; it is a number from -100000 to 100000'],
  ]) {
    // Not by a run: the test would write its parameters as JSON, which has no such number.
    assert.throws(() => paramsOf({ params: JSON.parse(meta) }), new InvalidTask(wanted));
  }
});

test('an engine without memory names the limit, and who can raise it', () => {
  const full = () => {
    throw Object.assign(new Error('out of memory'), { name: 'InternalError' });
  };
  const { tag, text } = run(runner({ ...app.description, memoryMib: 1 }, full));
  assert.equal(tag, 'failed');
  assert.match(text, /`memory_bytes` of 512 MiB; its author asks for more by `memoryMib`.*NAME.toml/);
});

test('a line without end is refused before it fills the memory', () => {
  const [tag, text] = failed(`lon,lat\n${'x'.repeat(18 << 20)}`);
  assert.deepEqual([tag, text], ['invalid-input', 'line 2: it has more than 16 MiB']);
});

test('the version is that of the package', () => {
  const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url)));
  assert.equal(app.description.version, version);
});
