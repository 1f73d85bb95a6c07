// What the page asks of its server, and nothing else of the page knows how. Each question takes a `tell`, which is called
// with each answer: { error } in words for the visitor, { lost: true } where the server no longer knows the photo, or
//
//   open(File or { example }, tell)              { bitmap, name, size: [width, height] of the file, recipe or null }
//   edit(recipe, wanted, drawn, tell)            { encoding: seconds left or null }, then { marks }, then { marks, lights, done };
//                                                by the number of the subject, of those `wanted`; `drawn`: none asks the segmenter
//   exact(recipe, tell)                          { box: [left, top, width, height], bitmap } of what is lit, or both null
//   compare(recipe, index, lights, tell)         { methods: { words, light } by name }; `light` where `lights` says so
//   tile(place, signal)                          a promise of a bitmap of the photo at full size, or of null (demo/tiles.py)
//   save(recipe, what, index, format, tell)      { step, share } of what is being done, then { url, name, bytes, lost }
//   readMask(File, tell)                         { edit }
//
// One question of a kind is under way at a time; of those that come meanwhile, the last one is asked. (Gradio's own
// `always_last` would send the first one's data again.) An answer to any but the last one asked is not told.

const PATIENCE = 120000;                     // milliseconds without a word
const PROPS = { open: 'photo', edit: 'answer', compare: 'methods', save: 'saved', loadmask: 'mask' };  // demo/ui.py
const unfinished = (said) => said.step !== undefined || said.encoding !== undefined || (said.marks && !said.done && !said.error);
const answerOf = (text) => { try { return JSON.parse(text || '{}'); } catch { return {}; } };
const addressOf = (path) => new URL(`../../${path}`, import.meta.url).href;  // this file is served from among the questions
const decoded = (blob) => createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });

// `props`, `trigger`, `upload` and `watch` are what Gradio hands to a gr.HTML script; `most` is the largest file, in MB.
export function connect({ props, trigger, upload, watch }, most) {
  const busy = new Map(), next = new Map(), latest = new Map();  // questions by kind: under way, to come, last asked
  let counter = 0, key = null;               // of the photo, for questions that do not go through Gradio

  // `passing`: it need not wait for one that waits for the photo to be encoded.
  function ask(kind, data, tell, passing = false) {
    counter += 1;
    const question = { kind, seq: counter, data, tell }, before = busy.get(kind);
    latest.set(kind, question);
    next.delete(kind);
    if (before && !(passing && before.encoding)) next.set(kind, question);
    else send(question);
    return question;
  }
  function send(question) {
    clearTimeout(busy.get(question.kind)?.timer);
    busy.set(question.kind, question);
    wait(question);
    if (question.kind === 'exact') fetchExact(question);
    else trigger(question.kind, { seq: question.seq, ...question.data });
  }
  function wait(question) {
    clearTimeout(question.timer);
    question.timer = setTimeout(() => take(question.kind, { seq: question.seq, error: 'The server has not answered for two minutes. Try again.' }), PATIENCE);
  }
  function take(kind, said) {
    const asked = busy.get(kind), last = latest.get(kind);
    if (asked?.seq === said.seq) {
      asked.encoding = said.encoding !== undefined;
      if (unfinished(said)) wait(asked);
      else free(kind);
    }
    if (last?.seq === said.seq) last.tell(said);
  }
  function free(kind) {
    clearTimeout(busy.get(kind)?.timer);
    busy.delete(kind);
    const question = next.get(kind);
    next.delete(kind);
    if (question) send(question);
  }
  function drop(kind) {                      // a question that nobody waits for any more
    next.delete(kind);
    latest.delete(kind);
    free(kind);
  }

  // Not by Gradio's queue, which takes as long as rendering does (demo/frames.py).
  async function fetchExact({ seq, data }) {
    let said = { failed: true };             // the preview stays
    try {
      const reply = await fetch(addressOf('exact'), {
        method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(data) });
      if (reply.status === 410) said = busy.has('open') || data.key !== key ? said : { lost: true };  // or another is being opened
      else if (reply.status === 204) said = { box: null, bitmap: null };
      else if (reply.ok) said = { box: reply.headers.get('X-Box').split(',').map(Number), bitmap: await decoded(await reply.blob()) };
    } catch { /* no connection */ }
    take('exact', { seq, ...said });
  }

  // Many at a time, in any order, and none that must be told: where one is missing, the view is seen.
  async function tile(place, signal) {
    try {
      const reply = await fetch(addressOf('tile'), { signal,
        method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ key, ...place }) });
      return reply.ok ? await decoded(await reply.blob()) : null;
    } catch { return null; }
  }

  async function sendFile(file) {
    if (file.size > most * 2 ** 20) throw new Error(`${file.name} has ${Math.round(file.size / 2 ** 20)} MB; at most ${most} MB can be opened.`);
    const { path } = await upload(file);
    return path;
  }
  async function askWithFile(kind, file, tell) {
    try { ask(kind, { path: await sendFile(file) }, tell); }
    catch (error) { tell({ error: error.message || 'The file could not be sent.' }); }
  }

  for (const [kind, prop] of Object.entries(PROPS)) if (kind !== 'open') watch(prop, () => take(kind, answerOf(props[prop])));
  watch('photo', async () => {
    const { png, ...said } = answerOf(props.photo);
    if (png && said.seq === latest.get('open')?.seq) {
      said.bitmap = await decoded(await (await fetch(png)).blob());
      if (said.seq === latest.get('open').seq) {
        key = said.key;
        for (const kind of ['edit', 'exact', 'compare']) drop(kind);  // of the old photo, which the server has dropped
      }
    }
    take('open', said);
  });

  return {
    open(source, tell) {
      if (source instanceof File) askWithFile('open', source, tell);
      else ask('open', source, tell);
    },
    edit: (recipe, wanted, drawn, tell) => ask('edit', { recipe, wanted }, tell, drawn),
    exact: (recipe, tell) => ask('exact', { key, recipe }, tell),
    compare: (recipe, index, lights, tell) => ask('compare', { recipe, index, lights }, tell),
    tile,
    save(recipe, what, index, format, tell) {
      ask('save', { recipe, what, index, format }, ({ path, ...said }) => tell(path ? { ...said, url: addressOf(`file=${path}`) } : said));
    },
    readMask: (file, tell) => askWithFile('loadmask', file, tell),
  };
}
