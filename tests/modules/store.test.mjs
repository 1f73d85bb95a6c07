import assert from 'node:assert/strict';
import { test } from 'node:test';

import { areasKey, blank } from '../../demo/page/recipe.js';
import { createStore, fieldsOf, partOf } from '../../demo/page/store.js';
import { limits, prompt, stroke } from './limits.mjs';

test('only who asked for a field is told of it, and only when it changed', () => {
  const store = createStore({ a: 1, b: 2 }), told = [];
  store.subscribe(['a'], (state) => told.push(['a', state.a]));
  store.subscribe(null, () => told.push('any'));
  const end = store.subscribe(['b'], () => told.push('b'));
  store.set({ a: 1 });
  assert.deepEqual(told, []);
  store.set({ a: 3 });
  store.set({ b: 4 });
  end();
  store.set({ b: 5 });
  assert.deepEqual(told, [['a', 3], 'any', 'any', 'b', 'any']);
});

test('what a listener sets is told afterwards, and everybody ends with the same state', () => {
  const store = createStore({ a: 0, double: 0 }), seen = [];
  store.subscribe(['a'], ({ a }) => store.set({ double: 2 * a }));
  store.subscribe(['a', 'double'], ({ a, double }) => seen.push([a, double]));
  store.set({ a: 4 });
  assert.deepEqual(seen.at(-1), [4, 8]);
  assert.equal(store.state.double, 8);
});

test('no listener is told while another one is', () => {
  const store = createStore({ a: 0, b: 0 });
  let within = 0;
  for (const next of ['b', null]) {
    store.subscribe(['a', 'b'], ({ a }) => {
      within += 1;
      assert.equal(within, 1);
      if (next) store.set({ [next]: a });
      within -= 1;
    });
  }
  store.set({ a: 1 });
});

test('a listener that fails does not silence the store', () => {
  const store = createStore({ a: 0 });
  const end = store.subscribe(['a'], () => { throw new Error('broken'); });
  assert.throws(() => store.set({ a: 1 }), /broken/);
  end();
  let told = 0;
  store.subscribe(['a'], () => { told += 1; });
  store.set({ a: 2 });
  assert.equal(told, 1);
});

test('a field that is not there is an error, and nobody writes a field past the store', () => {
  const store = createStore({ a: 0 });
  assert.throws(() => store.set({ aa: 1 }), /no field "aa"/);
  for (const value of [1, 2]) {
    assert.throws(() => { store.state.a = value; }, TypeError);
    store.set({ a: value });
  }
});

test('which part a subject is, is known from the answer, or worked out from the one before the last steps', () => {
  const [larger, smaller] = [true, false].map((each) => ({ tool: 'part', larger: each }));
  const recipe = blank(limits), subject = (edits) => ({ ...recipe.subjects[0], edits });
  const marks = new Map([[areasKey(subject([prompt])), { part: [2, 3] }], [areasKey(subject([stroke])), { part: null }]]);
  const at = (...edits) => partOf({ ...fieldsOf(limits), marks, recipe: { ...recipe, subjects: [subject(edits)] } });
  assert.deepEqual(at(prompt), [2, 3]);
  assert.deepEqual(at(prompt, larger), [3, 3]);
  assert.deepEqual(at(prompt, larger, smaller), [2, 3]);
  assert.deepEqual(at(prompt, larger, larger), [3, 3]);
  assert.equal(at(stroke), null);
  assert.equal(at(prompt, stroke), null);
  assert.equal(at(), null);
});
