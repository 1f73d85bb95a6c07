import assert from 'node:assert/strict';
import { test } from 'node:test';

import { WHOLE, frameOf, panned, placeOf, thinned, zoomed } from '../../demo/page/geometry.js';

const photo = { width: 400, height: 300 }, canvas = { width: 1000, height: 600 };

test('a photo is shown whole, in the middle', () => {
  assert.deepEqual(frameOf(WHOLE, photo, canvas), { x: 100, y: 0, width: 800, height: 600, short: 600 });
  assert.deepEqual(placeOf([500, 300], frameOf(WHOLE, photo, canvas)), [0.5, 0.5]);
});

test('what lies under the pointer stays there while one zooms', () => {
  const at = [420, 210], before = placeOf(at, frameOf(WHOLE, photo, canvas));
  const view = zoomed(zoomed(WHOLE, photo, canvas, 3, ...at), photo, canvas, 2, ...at);
  assert.equal(view.scale, 6);
  placeOf(at, frameOf(view, photo, canvas)).forEach((value, i) => assert.ok(Math.abs(value - before[i]) < 2e-4));
});

test('nobody zooms out of the photo, into nothing, or drags it out of sight', () => {
  assert.deepEqual(zoomed(WHOLE, photo, canvas, 0.1), WHOLE);
  assert.equal(zoomed(WHOLE, photo, canvas, 1e6).scale, 24);
  const near = zoomed(WHOLE, photo, canvas, 4), far = panned(near, photo, canvas, 1e6, -1e6), frame = frameOf(far, photo, canvas);
  assert.deepEqual([frame.x, frame.y + frame.height], [0, 600]);
  assert.deepEqual(panned(far, photo, canvas, 1e6, -1e6), far);  // it does not go on beyond the edge
});

test('a drag moves the photo by as many pixels', () => {
  const view = zoomed(WHOLE, photo, canvas, 4), before = frameOf(view, photo, canvas);
  const after = frameOf(panned(view, photo, canvas, 30, -20), photo, canvas);
  assert.ok(Math.abs(after.x - before.x - 30) < 1e-9 && Math.abs(after.y - before.y + 20) < 1e-9);
});

test('a straight stroke keeps its ends, a bent one its bend', () => {
  const line = Array.from({ length: 50 }, (_, i) => [i / 100, i / 100]);
  assert.deepEqual(thinned(line, 0.06, photo), [[0, 0], [0.49, 0.49]]);
  const bent = [...line, ...line.map(([x]) => [0.49 + x, 0.49 - x])];
  assert.deepEqual(thinned(bent, 0.06, photo), [[0, 0], [0.49, 0.49], [0.98, 0]]);
  assert.deepEqual(thinned([[0.12345678, 0.5]], 0.06, photo), [[0.1235, 0.5]]);
});
