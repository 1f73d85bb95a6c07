import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect } from '../../demo/page/server.js';

// Gradio as a script sees it: what was asked, and how to answer.
function gradio() {
  const props = {}, watched = {}, asked = [];
  return {
    props, asked,
    trigger: (kind, data) => asked.push([kind, data]),
    upload: async () => ({ path: '/uploads/a.png' }),
    watch: (name, call) => { watched[name] = call; },
    say(name, data) { props[name] = JSON.stringify(data); watched[name](); },
  };
}
const recipe = (edits = []) => ({ ranlen: 1, subjects: [{ edits }] });
const long = { tool: 'brush', points: Array(40).fill([0.12, 0.34]), radius: 0.1 };

test('one question at a time; of those that come meanwhile the last is asked, and only its answers are told', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const page = gradio(), server = connect(page, 1), told = [];
  for (const name of ['first', 'second', 'third']) server.edit(recipe(), [0], false, (said) => told.push([name, said]));
  assert.deepEqual(page.asked.map(([, { seq }]) => seq), [1]);
  page.say('answer', { seq: 1, marks: {}, done: true });
  assert.deepEqual(page.asked.map(([, { seq }]) => seq), [1, 3]);
  page.say('answer', { seq: 3, marks: {} });
  page.say('answer', { seq: 3, marks: {}, lights: {}, done: true });
  assert.deepEqual(told.map(([name, said]) => [name, said.done]), [['third', undefined], ['third', true]]);
  assert.equal(page.asked.length, 2);
});

test('what is drawn does not wait for a look at the photo, and other questions do not wait for an edit', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const page = gradio(), server = connect(page, 1);
  server.edit(recipe(), [0], false, () => {});
  server.edit(recipe(), [0], true, () => {});
  assert.equal(page.asked.length, 1);
  page.say('answer', { seq: 1, encoding: 20 });
  server.edit(recipe(), [0], true, () => {});
  server.compare(recipe(), 0, true, () => {});
  assert.deepEqual(page.asked.map(([kind]) => kind), ['edit', 'edit', 'compare']);
});

test('a recipe comes whole with each question', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const page = gradio(), server = connect(page, 1);
  for (const edits of [[long], [long, { tool: 'invert' }]]) {
    server.edit(recipe(edits), [0], true, () => {});
    page.say('answer', { seq: page.asked.length, done: true });
  }
  assert.deepEqual(page.asked.map(([, { recipe: { subjects } }]) => subjects[0].edits), [[long], [long, { tool: 'invert' }]]);
});

test('two minutes without a word are told, and do not stop the next question', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const page = gradio(), server = connect(page, 1), told = [];
  server.save(recipe(), 'photo', 0, 'same', (said) => told.push(said));
  t.mock.timers.tick(100000);
  page.say('saved', { seq: 1, step: 'Reading', share: 0.3 });
  t.mock.timers.tick(100000);
  assert.equal(told.length, 1);
  t.mock.timers.tick(20001);
  assert.match(told[1].error, /two minutes/);
  server.save(recipe(), 'photo', 0, 'same', () => {});
  assert.equal(page.asked.length, 2);
});

test('a file that is too large is refused before it is sent', async () => {
  const page = gradio(), server = connect(page, 1);
  const said = await new Promise((tell) => { server.readMask({ name: 'big.png', size: 2 * 2 ** 20 }, tell); });
  assert.equal(said.error, 'big.png has 2 MB; at most 1 MB can be opened.');
  assert.deepEqual(page.asked, []);
});
