import assert from 'node:assert/strict';
import { test } from 'node:test';

import { WHOLE, enlargement, frameOf, panned, placeOf, thinned, tilesOf, zoomed } from '../../demo/page/geometry.js';

const photo = { width: 400, height: 300, size: [400, 300] }, canvas = { width: 1000, height: 600 };

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

const large = { width: 1024, height: 731, size: [2100, 1500] };
const own = { ...WHOLE, scale: 1 / enlargement(WHOLE, large, canvas) };

test('at 100 % a pixel of the file is one of the canvas', () => {
  assert.ok(Math.abs(enlargement(own, large, canvas) - 1) < 1e-9);
  const frame = frameOf(own, large, canvas);
  assert.ok(Math.abs(frame.width - 2100) < 1e-9 && Math.abs(frame.height - 1500) < 1e-9);
  const far = { width: 1024, height: 10, size: [60000, 600] };    // however large the file is, its pixels can be reached
  assert.ok(enlargement(zoomed(WHOLE, far, canvas, 1e6), far, canvas) >= 1);
});

test('tiles cover the canvas without gaps, pixel for pixel at 100 %', () => {
  const tiles = tilesOf(own, large, canvas, 512), frame = frameOf(own, large, canvas);
  let seen = 0;
  for (const { level, file: [left, top, wide, high], at: [x, y, across, down] } of tiles) {
    assert.equal(level, 0);
    assert.deepEqual([across, down], [wide, high]);
    assert.deepEqual([x, y], [Math.round(frame.x + left), Math.round(frame.y + top)]);
    seen += Math.max(0, Math.min(x + across, 1000) - Math.max(x, 0)) * Math.max(0, Math.min(y + down, 600) - Math.max(y, 0));
  }
  assert.equal(seen, 1000 * 600);
});

test('no tile is wanted for the whole photo, one no larger than its view, or while the view has pixels enough', () => {
  assert.deepEqual(tilesOf(WHOLE, large, { width: 4000, height: 3000 }, 512), []);
  assert.deepEqual(tilesOf({ ...WHOLE, scale: 20 }, photo, canvas, 512), []);
  assert.deepEqual(tilesOf({ ...WHOLE, scale: 1.2 }, large, canvas, 512), []);
});

test('farther out a tile holds more of the photo', () => {
  const huge = { width: 1024, height: 731, size: [8400, 6000] };
  for (const scale of [1.4, 3, 6, 12]) {
    const tiles = tilesOf({ ...WHOLE, scale }, huge, canvas, 512), shown = frameOf({ ...WHOLE, scale }, huge, canvas).width;
    assert.ok(tiles.length > 0 && tiles.length <= 24, `${tiles.length} at ${scale}`);
    const pixels = 8400 / 2 ** tiles[0].level;
    assert.ok(pixels >= 0.87 * Math.min(shown, 8400) && pixels < 2.01 * shown, `${pixels} for ${shown}`);
  }
});
