// What the page asks of its server, and nothing else of the page knows how. Each question takes a `tell`, which is called
// with each answer: { error } in words for the visitor, { lost: true } where the server no longer knows the photo, or
//
//   open(File or { example }, tell)              { share, seconds } while it is sent, then { bitmap, picture: its PNG, key,
//                                                name, size: [width, height] of the file, recipe or null }
//   edit(recipe, wanted, drawn, tell)            { encoding: seconds left or null }, then { marks }, then { marks, lights, done };
//                                                by the number of the subject, of those `wanted`; `drawn`: none asks the segmenter
//   exact(recipe, tell)                          { box: [left, top, width, height], bitmap } of what is lit, or both null
//   clean(tell)                                  { bitmap } of the photo without noise, in the scale of light.js
//   compare(recipe, index, lights, tell)         { methods: { words, light } by name }; `light` where `lights` says so
//   tile(place, signal)                          a promise of { bitmap } of the photo at full size, or of one without (demo/tiles.py);
//                                                with { clean: true } in the place, without noise
//   glance(recipe)                               a promise of { found: { size, a } }, what marks its one subject, or of one without
//   save(recipe, what, index, format, tell)      { step, share } of what is being done, { share, seconds } while
//                                              it is received, then { file, name, bytes, loses: in words }
//   readMask(File, tell)                         { share, seconds }, then { edit }
//
// `resume(key)` says which photo was open before the page was loaded again.
//
// One question of a kind is under way at a time; of those that come meanwhile, the last one is asked. An answer to any but
// the last one asked is not told. While the server is away, questions wait; the last of each kind is asked when it is back.

import { addressOf } from './queue.js';

const PATIENCE = 120000;                     // milliseconds without a word
const AGAIN = 1000;                          // until a question that broke off is asked again
const unfinished = (said) => said.step !== undefined || said.share !== undefined || said.encoding !== undefined || (said.marks && !said.done && !said.error);
const post = (path, data, signal) =>
  fetch(addressOf(path), { signal, method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(data) });
const decoded = (blob) => createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });

// `queue` is that of queue.js; `most` is the largest file, in MB; `here(there)` is called when the server goes or comes back,
// with null where it is another version's.
export function connect(queue, most, here) {
  const busy = new Map(), next = new Map(), latest = new Map();  // questions by kind: under way, to come, last asked
  let there = true, key = null;              // whether the server is; that of the photo it is asked about

  // `passing`: it need not wait for one that waits for the photo to be encoded.
  function ask(kind, data, tell, passing = false) {
    const question = { kind, data, tell, abort: new AbortController() }, before = busy.get(kind);
    latest.set(kind, question);
    next.delete(kind);
    if (before && !(passing && before.encoding)) {
      next.set(kind, question);
      if (!before.event) before.abort.abort();  // a file that is still being sent
    } else send(question);
    return question;
  }
  async function send(question) {
    const { kind, data, abort } = question;
    clearTimeout(busy.get(kind)?.timer);
    busy.set(kind, question);
    question.broken = !there;                // asked when the server is back
    if (!there) return;
    wait(question);
    try {
      const said = await data((sent) => { if (busy.get(kind) === question) { wait(question); take(question, sent); } }, abort.signal);
      if (busy.get(kind) !== question) return;
      if (pictures[kind]) fetchPicture(question, said);
      else question.event = queue.ask(kind, said, (answer) => take(question, answer));
    } catch (error) {
      if (error.name === 'AbortError') free(question);
      else take(question, error instanceof TypeError ? { broken: true } : { error: error.message });
    }
  }
  function wait(question) {
    clearTimeout(question.timer);
    question.timer = setTimeout(() => take(question, { error: 'The server has not answered for two minutes. Try again.' }), PATIENCE);
  }
  function take(question, said) {
    const { kind, tell } = question, mine = busy.get(kind) === question;
    if (said.broken) {
      if (!mine) return;
      clearTimeout(question.timer);
      question.broken = true;
      setTimeout(() => { if (there) again(question); }, AGAIN);
      return;
    }
    if (mine) {
      question.encoding = said.encoding !== undefined;
      if (unfinished(said)) wait(question);
      else free(question);
    }
    if (latest.get(kind) === question && !said.ended) tell(said);
  }
  function free(question) {
    const { kind } = question;
    if (busy.get(kind) !== question) return;
    clearTimeout(question.timer);
    busy.delete(kind);
    const waiting = next.get(kind);
    next.delete(kind);
    if (waiting) send(waiting);
  }
  function again(question) {                 // or what was asked since
    if (busy.get(question.kind) !== question || !question.broken) return;
    const waiting = next.get(question.kind);
    next.delete(question.kind);
    send(waiting ?? question);
  }
  function drop(kind) {                      // a question that nobody waits for any more
    next.delete(kind);
    latest.delete(kind);
    const question = busy.get(kind);
    if (!question) return;
    queue.drop(question.event);
    free(question);
  }
  queue.stay((now) => {
    there = Boolean(now);
    here(now);
    if (there) [...busy.values()].forEach(again);
  });

  // Not by Gradio's queue, which takes as long as rendering does (demo/frames.py).
  const pictures = {
    exact: (reply, bitmap) => ({ box: reply.headers.get('X-Box').split(',').map(Number), bitmap }),
    clean: (reply, bitmap) => ({ bitmap }),
  };
  async function fetchPicture(question, data) {
    let said = { failed: true };             // the preview stays
    try {
      const reply = await post(question.kind, data);
      if (reply.status === 410) said = { lost: true };
      else if (reply.status === 204) said = { box: null, bitmap: null };
      else if (reply.ok) said = pictures[question.kind](reply, await decoded(await reply.blob()));
    } catch { said = { broken: true }; }
    take(question, said);
  }

  // Many at a time, in any order: where one is missing, the view is seen.
  async function tile(place, signal) {
    try {
      const reply = await post('tile', { key, ...place }, signal);
      return reply.ok ? { bitmap: await decoded(await reply.blob()) } : { lost: reply.status === 410 };
    } catch { return {}; }
  }
  async function glance(recipe) {
    try {
      const reply = await post('glance', { key, recipe });
      return reply.status === 200 ? { found: await reply.json() } : { lost: reply.status === 410 };
    } catch { return {}; }
  }

  const sent = (file) => async (tell, signal) => {
    if (file.size > most * 2 ** 20) throw new Error(`${file.name} has ${Math.round(file.size / 2 ** 20)} MB; at most ${most} MB can be opened.`);
    return { key, path: await queue.upload(file, tell, signal) };
  };
  const about = (data) => () => ({ key, ...data });

  function open(source, tell) {
    const question = ask('open', source instanceof File ? sent(source) : () => source, async ({ png, ...said }) => {
      if (png) {
        said.picture = await (await fetch(png)).blob();
        said.bitmap = await decoded(said.picture);
        if (question !== latest.get('open')) return;
        key = said.key;
        for (const kind of ['edit', 'exact', 'clean', 'compare']) drop(kind);  // of the old photo, which the server has dropped
      }
      tell(said);
    });
  }

  function save(...given) {
    const [recipe, what, index, format, tell] = given;
    ask('save', about({ recipe, what, index, format }), async ({ path, ...said }) => {
      if (!path) { tell(said); return; }
      try { tell({ ...said, file: await queue.download(path, tell) }); }
      catch (error) {
        if (error instanceof TypeError) save(...given);  // no connection
        else tell({ error: error.message });
      }
    });
  }

  return {
    open,
    edit: (recipe, wanted, drawn, tell) => ask('edit', about({ recipe, wanted }), tell, drawn),
    exact: (recipe, tell) => ask('exact', about({ recipe }), tell),
    clean: (tell) => ask('clean', about({}), tell),
    compare: (recipe, index, lights, tell) => ask('compare', about({ recipe, index, lights }), tell),
    tile,
    glance,
    save,
    readMask: (file, tell) => ask('loadmask', sent(file), tell),
    resume: (known) => { key = known; },
  };
}
