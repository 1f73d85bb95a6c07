import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as soon } from 'node:timers/promises';

import { connect } from '../../demo/page/server.js';

// The queue as the page sees it: what was asked, and how to answer, lose and find the server.
function fake() {
  const asked = [], tells = [], uploads = [];
  let here = null;
  return {
    asked, uploads,
    ask(kind, data, tell) { asked.push([kind, data]); tells.push(tell); return { kind }; },
    drop() {},
    download: async () => new Blob(),
    upload: (file, tell, signal) => new Promise((done, fail) => {
      uploads.push({ file, tell, done });
      signal.addEventListener('abort', () => fail(new DOMException('', 'AbortError')));
    }),
    stay(tell) { here = tell; },
    say(number, data) { tells[number - 1](data); },
    away(there) { here(there); },
  };
}
const recipe = (edits = []) => ({ ranlen: 1, subjects: [{ edits }] });
const long = { tool: 'brush', points: Array(40).fill([0.12, 0.34]), radius: 0.1 };

const begin = (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const page = fake();
  return [page, connect(page, 1, () => {}), []];
};

test('one question at a time; of those that come meanwhile the last is asked, and only its answers are told', async (t) => {
  const [page, server, told] = begin(t);
  for (const name of ['first', 'second', 'third']) server.edit(recipe([name]), [0], false, (said) => told.push([name, said]));
  const edits = () => page.asked.map(([, { recipe: { subjects } }]) => subjects[0].edits[0]);
  await soon();
  assert.deepEqual(edits(), ['first']);
  page.say(1, { marks: {}, done: true });
  await soon();
  assert.deepEqual(edits(), ['first', 'third']);
  page.say(2, { marks: {} });
  page.say(2, { marks: {}, lights: {}, done: true });
  page.say(2, { ended: true });
  assert.deepEqual(told.map(([name, said]) => [name, said.done]), [['third', undefined], ['third', true]]);
  assert.equal(page.asked.length, 2);
});

test('what is drawn does not wait for a look at the photo, and other questions do not wait for an edit', async (t) => {
  const [page, server] = begin(t);
  server.edit(recipe(), [0], false, () => {});
  server.edit(recipe(), [0], true, () => {});
  await soon();
  assert.equal(page.asked.length, 1);
  page.say(1, { encoding: 20 });
  server.edit(recipe(), [0], true, () => {});
  server.compare(recipe(), 0, true, () => {});
  await soon();
  assert.deepEqual(page.asked.map(([kind]) => kind), ['edit', 'edit', 'compare']);
});

test('a recipe comes whole with each question, and with the key of its photo', async (t) => {
  const [page, server] = begin(t);
  server.resume('a key');
  for (const edits of [[long], [long, { tool: 'invert' }]]) {
    server.edit(recipe(edits), [0], true, () => {});
    await soon();
    page.say(page.asked.length, { done: true });
  }
  assert.deepEqual(page.asked.map(([, { recipe: { subjects } }]) => subjects[0].edits), [[long], [long, { tool: 'invert' }]]);
  assert.deepEqual(page.asked.map(([, { key }]) => key), ['a key', 'a key']);
});

test('two minutes without a word are told, and do not stop the next question', async (t) => {
  const [page, server, told] = begin(t);
  server.save(recipe(), 'photo', 0, 'same', (said) => told.push(said));
  await soon();
  t.mock.timers.tick(100000);
  page.say(1, { step: 'Reading', share: 0.3 });
  t.mock.timers.tick(100000);
  assert.equal(told.length, 1);
  t.mock.timers.tick(20001);
  assert.match(told[1].error, /two minutes/);
  server.save(recipe(), 'photo', 0, 'same', () => {});
  await soon();
  assert.equal(page.asked.length, 2);
});

test('while the server is away the last question of a kind is kept, asked when it is back, and not complained of', async (t) => {
  const [page, server, told] = begin(t);
  page.away(false);
  for (const name of ['first', 'second']) server.edit(recipe([name]), [0], false, (said) => told.push([name, said]));
  await soon();
  t.mock.timers.tick(10 * 60 * 1000);
  assert.deepEqual([page.asked, told], [[], []]);
  page.away(true);
  await soon();
  assert.deepEqual(page.asked.map(([, { recipe: { subjects } }]) => subjects[0].edits), [['second']]);
  page.say(1, { marks: {}, done: true });
  assert.deepEqual(told.map(([name]) => name), ['second']);
});

test('a question that breaks off is asked again, once the server is there', async (t) => {
  const [page, server, told] = begin(t);
  server.save(recipe(), 'photo', 0, 'same', (said) => told.push(said));
  await soon();
  page.say(1, { broken: true });
  page.away(false);
  t.mock.timers.tick(5000);
  await soon();
  assert.equal(page.asked.length, 1);
  page.away(true);
  await soon();
  assert.equal(page.asked.length, 2);
  page.say(2, { broken: true });             // and where nobody noticed that it was away
  t.mock.timers.tick(1001);
  await soon();
  assert.equal(page.asked.length, 3);
  page.say(3, { path: 'a', name: 'a.jpg' });
  await soon();
  assert.equal(told.length, 1);
});

test('a file is sent again with its question, and not to the end when another one is opened', async (t) => {
  const [page, server] = begin(t), [first, second] = ['a.jpg', 'b.jpg'].map((name) => new File(['1'], name));
  server.open(first, () => {});
  await soon();
  server.open(second, () => {});
  await soon();
  assert.deepEqual(page.uploads.map(({ file }) => file.name), ['a.jpg', 'b.jpg']);
  page.uploads[1].done('/uploads/b');
  await soon();
  page.say(1, { broken: true });
  page.away(true);
  await soon();
  assert.equal(page.uploads.length, 3);
  page.uploads[2].done('/uploads/c');
  await soon();
  assert.deepEqual(page.asked.map(([, { path }]) => path), ['/uploads/b', '/uploads/c']);
});

test('a file that is too large is refused before it is sent', async (t) => {
  const [page, server] = begin(t);
  const said = await new Promise((tell) => { server.readMask({ name: 'big.png', size: 2 * 2 ** 20 }, tell); });
  assert.equal(said.error, 'big.png has 2 MB; at most 1 MB can be opened.');
  assert.deepEqual([page.asked, page.uploads], [[], []]);
});
