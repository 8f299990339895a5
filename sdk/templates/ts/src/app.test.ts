import assert from 'node:assert/strict';
import test from 'node:test';

import { run } from '../posemesh-runner/testing.js';
import app from './app.js';

test('a column is summarised', () => {
  const outcome = run(app, { inputs: { 'points.csv': 'name,height\na,1\nb,4\nc,1\n' }, meta: { column: 'height' } });
  assert.equal(outcome.tag, undefined, outcome.text);
  assert.deepEqual(outcome.json('summary.json'), { rows: 3, min: 1, max: 4, mean: 2 });
});

test('what is wrong is said with its line', () => {
  const outcome = run(app, { inputs: { 'points.csv': 'height\n1\nhigh\n' }, meta: { column: 'height' } });
  assert.deepEqual([outcome.tag, outcome.text], ['invalid-input', 'line 3: high in height is no number']);
});

test('a parameter of another type is the fault of the task', () => {
  const outcome = run(app, { inputs: { 'points.csv': 'height\n1\n' }, meta: { column: 3 } });
  assert.deepEqual([outcome.tag, outcome.text], ['invalid-task', 'column is 3, and not a text']);
});

test('a download that breaks off is not the fault of the input', () => {
  const inputs = { 'points.csv': 'height\n1\n2\n' };
  const outcome = run(app, { inputs, meta: { column: 'height' }, fail: { 'points.csv': 'unavailable' } });
  assert.equal(outcome.tag, 'unavailable', outcome.text);
});
