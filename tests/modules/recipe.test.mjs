import assert from 'node:assert/strict';
import { test } from 'node:test';

import { adopt, blank, plain } from '../../demo/page/recipe.js';
import { limitsOf, valueOf } from '../../demo/page/settings.js';
import { limits, prompt, stroke } from './limits.mjs';

test('the table says what is blank', () => {
  assert.deepEqual(plain(blank(limits)), { ranlen: 2, backbone: 'first', subjects: [{ edits: [], degree: 1, feather: 0.1, denoise: null, feather_side: null, feather_edges: false }] });
});

test('what is saved is read as it was', () => {
  const saved = { ranlen: 2, backbone: 'second', subjects: [
    { edits: [stroke], degree: 0.25, feather: 0.6, denoise: 0.5, feather_side: 'in', feather_edges: true }, { edits: [prompt], degree: 2, feather: 0, denoise: null, feather_side: null, feather_edges: false }] };
  assert.deepEqual(plain(adopt(JSON.parse(JSON.stringify(saved)), limits)), saved);
});

test('older files are read: a plain list of edits, and subjects without settings', () => {
  assert.deepEqual(plain(adopt([stroke], limits)).subjects, [{ edits: [stroke], degree: 1, feather: 0.1, denoise: null, feather_side: null, feather_edges: false }]);
  assert.deepEqual(plain(adopt({ subjects: [{ edits: [prompt] }] }, limits)).subjects, [{ edits: [prompt], degree: 1, feather: 0.04, denoise: null, feather_side: null, feather_edges: false }]);
  assert.equal(adopt({ subjects: [{ edits: [prompt], feather: null }] }, limits).subjects[0].feather, 0.04);
});

test('older files are read: words that have changed', () => {
  const before = { ranlen: 1, subjects: [{ edits: [{ tool: 'click', at: [0, 0] }, prompt], transition: 0.3, grow: 'in' }] };
  assert.deepEqual(plain(adopt(before, limits)), { ranlen: 2, backbone: 'first', subjects: [
    { edits: [{ tool: 'circle', at: [0, 0] }, prompt], degree: 1, feather: 0.3, denoise: null, feather_side: 'in', feather_edges: false }] });
});

test('settings are kept within their limits, subjects within their number', () => {
  const [subject] = adopt({ subjects: [{ edits: [], degree: 9, feather: -1 }] }, limits).subjects;
  assert.deepEqual([subject.degree, subject.feather], [2, 0]);
  assert.equal(adopt({ subjects: [{ edits: [], degree: 'much' }] }, limits).subjects[0].degree, 0);
  assert.equal(adopt({ subjects: Array(9).fill({ edits: [] }) }, limits).subjects.length, limits.subjects);
});

test('what is no recipe is refused in a sentence', () => {
  for (const data of [null, 3, 'x', {}, { subjects: [] }, { subjects: [null] }, { subjects: [{ edits: 'x' }] }]) {
    assert.throws(() => adopt(data, limits), /^Error: This file is not a saved recipe\.$/);
  }
});

test('subjects are told apart, however alike', () => {
  const { subjects } = adopt({ subjects: [{ edits: [] }, { edits: [] }] }, limits);
  assert.notEqual(subjects[0].id, subjects[1].id);
});

test('what a subject leaves open is what suits the photo', () => {
  const [open, set] = [null, 0.2].map((denoise) => ({ ...blank(limits).subjects[0], denoise }));
  assert.deepEqual([open, set].map((each) => valueOf(each, 'denoise', { denoise: 0.5 })), [0.5, 0.2]);
  assert.equal(valueOf(open, 'denoise', null), 0);
});

test('the table takes its limits from the server and adds how they are shown', () => {
  const { degree, feather } = limits.settings;
  assert.deepEqual([degree.default, degree.found, degree.max, degree.most, degree.scale], [1, 1, 2, 2, 1]);
  assert.deepEqual([feather.default, feather.found, feather.max, feather.most, feather.scale], [0.1, 0.04, 1, 0.4, 100]);
  const wider = limitsOf({ settings: { degree: { default: 0.5, min: 0, max: 3 }, feather: { default: 0.2, min: 0, max: 1 }, denoise: { default: null, min: 0, max: 1 } } });
  assert.deepEqual([wider.settings.degree.most, wider.settings.feather.found], [3, 0.2]);
});
