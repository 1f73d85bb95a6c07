import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createStore, fieldsOf, joinOf } from '../../demo/page/store.js';
import { editOf, strokeOf } from '../../demo/page/strokes.js';
import { limits, stroke } from './limits.mjs';

const photo = { width: 400, height: 300 };
function using(values, edits = [stroke]) {
  const store = createStore(fieldsOf(limits)), { recipe } = store.state;
  store.set({ recipe: { ...recipe, subjects: [{ ...recipe.subjects[0], edits }] }, ...values });
  return store.state;
}
const drawn = (values, add, edits) => editOf(strokeOf(using(values, edits), [0.5, 0.5], add), photo)?.add;

test('a shape joins as was chosen, the first one is added, and the right button takes away', () => {
  for (const tool of ['circle', 'brush']) {
    for (const join of [true, false, 'intersect']) {
      assert.equal(drawn({ tool, join }, true), join);
      assert.equal(drawn({ tool, join }, false), false);
      assert.equal(drawn({ tool, join }, true, []), true);
    }
  }
});

test('clicks are added or not this, and erasing takes away, whatever was chosen for shapes', () => {
  for (const join of [true, false, 'intersect']) {
    assert.equal(drawn({ tool: 'subject', join }, true), true);
    assert.equal(drawn({ tool: 'subject', join }, false), false);
    assert.equal(drawn({ tool: 'other', join }, true), false);
    assert.equal(drawn({ tool: 'erase', join }, true), false);
    assert.equal(joinOf(using({ tool: 'erase', join })), false);
  }
});

test('a gradient goes from one end to the other, in the photo, and one too short to be meant is none', () => {
  const begun = strokeOf(using({ tool: 'gradient', join: 'intersect' }), [-0.2, 0.5]);
  assert.deepEqual(editOf({ ...begun, points: [begun.points[0], [0.6, 0.5]] }, photo), { tool: 'gradient', from: [0, 0.5], to: [0.6, 0.5], add: 'intersect' });
  assert.equal(editOf(begun, photo), undefined);
});
