import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as soon } from 'node:timers/promises';

import { createGlance } from '../../demo/page/glance.js';
import { createStore, fieldsOf } from '../../demo/page/store.js';
import { limits, stroke } from './limits.mjs';

const size = { width: 400, height: 300 };
const found = { size: [300, 400], a: [] };

// A photo that fills a canvas of its size, a pointer on it, and a server that answers when it is told to.
function begin(t) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const store = createStore(fieldsOf(limits)), asked = [], answers = [];
  const server = { glance: (recipe) => new Promise((done) => { asked.push(recipe.subjects[0].edits); answers.push(done); }) };
  createGlance(store, server, { placeAt: ([x, y]) => [x / size.width, y / size.height] }, size);
  store.set({ photo: { ...size } });
  const answer = async (said) => { answers.shift()(said); await soon(); };
  return { store, asked, answer, rest: (time = 150) => t.mock.timers.tick(time), move: (...at) => store.set({ pointerAt: at }) };
}
const click = (x, y, add = true) => ({ tool: 'subject', at: [x, y], add });

test('a pointer that rests asks once, shows the answer, and changes nothing', async (t) => {
  const { store, asked, answer, rest, move } = begin(t), { recipe, past } = store.state;
  move(100, 150);
  rest(100);
  move(200, 150);
  rest(149);
  assert.deepEqual(asked, []);
  rest(1);
  await answer({ found });
  assert.deepEqual(asked, [[click(0.5, 0.5)]]);
  assert.equal(store.state.glance, found);
  assert.deepEqual([store.state.recipe, store.state.past], [recipe, past]);
  rest(5000);                                // the photo is looked at, and nothing asked anew
  assert.equal(store.state.glance, null);
  assert.equal(asked.length, 1);
});

test('it goes when the pointer moves on, and an answer that comes too late is not shown', async (t) => {
  const { store, asked, answer, rest, move } = begin(t);
  move(100, 150);
  rest();
  await answer({ found });
  move(101, 150);
  assert.equal(store.state.glance, null);
  rest();
  move(300, 150);
  rest();
  assert.equal(asked.length, 2);             // one at a time
  await answer({ found });
  assert.equal(store.state.glance, null);
  rest();
  assert.deepEqual(asked[2], [click(0.75, 0.5)]);
  store.set({ pointerAt: null });
  await answer({ found });
  assert.equal(store.state.glance, null);
});

test('what the server does not know yet is asked again while the pointer rests', async (t) => {
  const { store, asked, answer, rest, move } = begin(t);
  move(100, 150);
  rest();
  await answer({});
  rest(1000);
  await answer({ found });
  assert.equal(asked.length, 2);
  assert.equal(store.state.glance, found);
});

test('a click ends it, and none is asked while one is answered, or where a click would ask nothing', async (t) => {
  const { store, asked, answer, rest, move } = begin(t);
  move(100, 150);
  rest();
  await answer({ found });
  store.set({ stroke: { tool: 'subject', points: [[0.25, 0.5]], add: true } });
  assert.equal(store.state.glance, null);
  rest(1000);
  assert.equal(asked.length, 1);
  store.set({ stroke: null });
  for (const values of [{ pending: {} }, { holding: true }, { space: true }, { mode: 'wipe' }, { tool: 'brush' }, { tool: 'other' },
    { showAreas: false }, { lost: true }, { away: true }, { pointerAt: null }, { pointerAt: [500, 150] }]) {
    const before = Object.fromEntries(Object.keys(values).map((name) => [name, store.state[name]]));
    store.set(values);
    rest(1000);
    assert.equal(asked.length, 1, JSON.stringify(values));
    store.set(before);
  }
});

test('it says what a subject would be with one more click, or without what lies there, and knows the cross of keys', async (t) => {
  const { store, asked, answer, rest, move } = begin(t);
  store.set({ recipe: { ...store.state.recipe, subjects: [{ ...store.state.recipe.subjects[0], edits: [stroke] }] } });
  move(100, 150);
  rest();
  await answer({});
  store.set({ tool: 'other', cross: [0.1, 0.2], pointerAt: null });
  rest(1000);
  assert.deepEqual(asked, [[stroke, click(0.25, 0.5)], [stroke, click(0.1, 0.2, false)]]);
});

test('a photo that the server forgot is sent again', async (t) => {
  const { store, answer, rest, move } = begin(t);
  move(100, 150);
  rest();
  await answer({ lost: true });
  assert.equal(store.state.lost, true);
});
