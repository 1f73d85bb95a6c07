import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createEditing } from '../../demo/page/editing.js';
import { createStore, fieldsOf, subjectOf } from '../../demo/page/store.js';
import { limits, prompt, stroke } from './limits.mjs';

function made() {
  const store = createStore(fieldsOf(limits));
  return { store, editing: createEditing(store, limits), subject: () => subjectOf(store.state) };
}

test('steps are taken back and done again, until there is a new one', () => {
  const { store, editing, subject } = made(), blank = store.state.recipe;
  editing.undo();
  assert.equal(store.state.recipe, blank);
  editing.addEdit(stroke);
  editing.setSubject({ degree: 0.5 });
  editing.undo();
  assert.deepEqual([subject().edits.length, subject().degree], [1, 1]);
  editing.redo();
  assert.equal(subject().degree, 0.5);
  editing.undo();
  editing.undo();
  assert.equal(store.state.recipe, blank);
  editing.addEdit(prompt);
  assert.deepEqual(store.state.future, []);
});

test('a slider that moves is one step, two moves are two', () => {
  const { store, editing, subject } = made();
  for (const degree of [0.9, 0.8, 0.7]) editing.setSubject({ degree }, 'degree');
  assert.equal(store.state.past.length, 1);
  editing.endMerge();
  editing.setSubject({ degree: 0.6 }, 'degree');
  editing.undo();
  assert.equal(subject().degree, 0.7);
  editing.undo();
  assert.equal(subject().degree, 1);
});

test('the first edit says which feather suits, unless somebody has set one', () => {
  for (const [edit, before, after] of [[prompt, {}, 0.04], [stroke, {}, 0.1], [prompt, { feather: 0.2 }, 0.2]]) {
    const { editing, subject } = made();
    editing.setSubject(before);
    editing.addEdit(edit);
    assert.equal(subject().feather, after);
    editing.addEdit(prompt);
    assert.equal(subject().feather, after);
  }
});

test('a mask that was found gets the edge of what is found, a painted one that of what is drawn', () => {
  const mask = { tool: 'mask', size: [1, 1], bits: '' };
  for (const [before, edit, after] of [[null, { ...mask, found: true }, 0.04], [prompt, mask, 0.1], [prompt, { ...mask, found: true }, 0.04]]) {
    const { editing, subject } = made();
    if (before) editing.addEdit(before);
    editing.replaceEdits([edit]);
    assert.equal(subject().feather, after);
    editing.undo();
    assert.equal(subject().edits.length, before ? 1 : 0);
  }
});

test('clearing forgets the edge of what was found, and no edge that somebody chose', () => {
  for (const [edit, before, after] of [[prompt, {}, 0.1], [prompt, { feather: 0.2 }, 0.2], [stroke, { feather: 0.04 }, 0.04]]) {
    const { editing, subject } = made();
    editing.setSubject(before);
    editing.addEdit(edit);
    editing.clear();
    assert.deepEqual([subject().edits, subject().feather], [[], after]);
  }
});

test('subjects come and go, one always stays, and there are not too many', () => {
  const { store, editing, subject } = made();
  for (let i = 0; i < 9; i += 1) editing.addSubject();
  assert.deepEqual([store.state.recipe.subjects.length, store.state.current], [3, 2]);
  editing.addEdit(stroke);
  for (let i = 0; i < 9; i += 1) editing.removeSubject();
  assert.deepEqual([store.state.recipe.subjects.length, subject().edits], [1, []]);
});

test('the history holds its last three hundred steps', () => {
  const { store, editing } = made();
  for (let i = 0; i < 400; i += 1) editing.setSubject({ degree: i / 400 });
  assert.equal(store.state.past.length, 300);
});
