// Questions to the server and what comes of the answers: outlines, lights, exact frames. Each question carries a
// number; an answer to an old one is not used.

const marks = new Map(), lights = new Map(); // by `keyOf` and, for lights, backbone: what was asked is not asked again
const shown = new Map();                     // by subject: its latest light, until a newer one comes
let counter = 0, pending = null, exact = null, exactSeq = 0, waiting = false;

const keyOf = (each) => JSON.stringify([each.edits, each.transition, each.grow]);
const lightKey = (each) => recipe.backbone + keyOf(each);
const address = (path) => `${(window.gradio_config?.root ?? '').replace(/\/$/, '')}/gradio_api/${path}`;
const answerOf = (text) => { try { return JSON.parse(text || '{}'); } catch { return {}; } };

// One question of a kind at a time; of those that come meanwhile, the last. (Gradio's own `always_last` would send the
// first one's data again.) An answer that never comes is waited for two minutes.
const busy = new Map(), next = new Map();
function ask(name, data = {}, around = false) {  // `around` a look at the photo that another one waits for
  counter += 1;
  const question = { seq: counter, ...data }, before = busy.get(name);
  next.delete(name);
  if (before && !(around && before.looking)) next.set(name, question);
  else send(name, question);
  return counter;
}
function send(name, question) {
  clearTimeout(busy.get(name)?.timer);
  busy.set(name, { seq: question.seq, timer: setTimeout(() => { answered(name, question.seq); wait(false); }, 120000) });
  if (name === 'exact') fetchExact(question);
  else trigger(name, question);
}
function answered(name, seq) {
  const asked = busy.get(name);
  if (!asked || asked.seq !== seq) return;
  clearTimeout(asked.timer);
  busy.delete(name);
  const question = next.get(name);
  next.delete(name);
  if (question) send(name, question);
}

// Something changed: ask for what is not known, draw what is.
function changed() {
  const wanted = recipe.subjects.flatMap((each, i) => (each.edits.length && !lights.has(lightKey(each)) ? [i] : []));
  exact = null;
  if (photo && wanted.length) {
    const keys = recipe.subjects.map((each) => [each.id, keyOf(each), lightKey(each), each.edits]);
    const drawn = !wanted.some((i) => recipe.subjects[i].edits.some((edit) => FINDS.includes(edit.tool)));
    const seq = ask('edit', { recipe: session(), wanted }, drawn);
    pending = { seq, keys };
  } else pending = null;
  for (const each of recipe.subjects) {
    if (!each.edits.length) shown.delete(each.id);
    else if (lights.has(lightKey(each))) shown.set(each.id, lights.get(lightKey(each)));
  }
  if (!pending && !(sliding && live())) settle();
  if (!pending && slow && !sliding) prepare();
  wait(Boolean(pending));
  refresh();
  if (mode === 'compare') askMethods();
}

function wait(on) {
  waiting = on;
  if (!on) progress();
  $('.rl-app').classList.toggle('rl-waiting', on);
}

// What is being worked on, in words, and how far the bar at the bottom goes in how many seconds; without, it runs.
let working = '';
function progress(words = '', share = null, seconds = 0) {
  const bar = $('.rl-busy'), known = share !== null;
  if (known && !bar.classList.contains('rl-known')) {
    bar.style.cssText = '--share: 0; --time: 0s';
    bar.classList.add('rl-known');
    void bar.offsetWidth;                    // from the left end
  }
  bar.classList.toggle('rl-known', known);
  bar.style.cssText = `--share: ${share ?? 0}; --time: ${seconds}s`;
  working = words;
  hint(nextStep());
}
function looks(left) {                       // the segmenter, at the photo, which is done once
  const about = left > 1.2 ? `, about ${Math.round(left)} s` : '';
  progress(`Looking at the photo${about}. Your click is kept.`, left === null ? null : 0.95, left ?? 0);
}

// When the hand rests, the server's own picture replaces the preview.
let settling = 0;
function settle(after = 0) {
  clearTimeout(settling);
  if (!photo || !marked()) return;
  settling = setTimeout(() => { exactSeq = ask('exact', { key: photo.key, recipe: session() }); }, after);
}

watch('answer', async () => {
  const said = answerOf(props.answer), question = pending;
  if (said.done || said.error || said.lost) answered('edit', said.seq);
  if (said.lost) { lost(); return; }
  if (said.looking !== undefined && busy.get('edit')?.seq === said.seq) busy.get('edit').looking = true;
  if (!question || said.seq !== question.seq) return;
  if (said.looking !== undefined) { looks(said.looking); return; }
  progress();
  if (said.error) { wait(false); pending = null; toast(said.error); refresh(); return; }
  for (const [i, found] of Object.entries(said.marks ?? {})) {
    const [id, key, , edits] = question.keys[i];
    if (found.error !== undefined) { shown.delete(id); marks.delete(key); if (found.error) toast(found.error); }
    else marks.set(key, { ...outlined(found), edits });
  }
  if (said.lights) {
    const made = await Promise.all(Object.entries(said.lights).map(async ([i, packed]) => [i, await unpackLight(packed)]));
    for (const [i, light] of made) {
      const [id, , key] = question.keys[i];
      keepLight(lights, key, light);
      shown.set(id, light);
    }
  }
  if (said.done && pending === question) {
    pending = null;
    wait(false);
    learnt('click');
    clockShader();
    settle();
  }
  if (said.marks) flash();
  refresh();
});

// Not by Gradio's queue, which takes as long as rendering does (demo/frames.py).
async function fetchExact({ seq, key, recipe: wanted }) {
  try {
    const reply = await fetch(address('exact'), {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ key, recipe: wanted }) });
    if (reply.status === 410) {              // or another photo is being opened in its place
      if (key === photo.key && !busy.has('open')) lost();
      return;
    }
    if (!reply.ok) return;                   // the preview stays
    const bitmap = reply.status === 204 ? null : await decoded(await reply.blob());
    if (seq !== exactSeq || pending || dragging()) return;
    exact = { box: reply.headers.get('X-Box')?.split(',').map(Number), bitmap };
    element.dispatchEvent(new CustomEvent('exact'));
    render();
  } catch { /* no connection: the preview stays */ }
  finally { answered('exact', seq); }
}

// The server has forgotten the photo, after a restart for one.
function lost() {
  wait(false);
  pending = null;
  toast('The connection was lost. Open the photo again; what you marked can be saved as a session first.');
}

function keepLight(map, key, light) {
  map.set(key, light);
  for (const [old, each] of map) {
    if (map.size <= 16) break;
    if ([...shown.values()].includes(each)) continue;
    map.delete(old);
    freeLight(each);
  }
}

function forget() {
  for (const light of lights.values()) freeLight(light);
  marks.clear(); lights.clear(); shown.clear();
  pending = exact = null;
}

async function bitmapOf(uri) {
  const [head, data] = uri.split(',');
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  return decoded(new Blob([bytes], { type: head.slice(5).split(';')[0] }));
}
const decoded = (blob) => createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
