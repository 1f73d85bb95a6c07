// Files in and out: a photo by button, drop or paste; masks; recipes; results. A photo that the server does not know any
// more, after a restart for one, is sent again.

import { WHOLE } from './geometry.js';
import { PHOTO, only } from './kept.js';
import { adopt, blank, plain } from './recipe.js';
import { isMarked, isUnsaved } from './store.js';

const MOST_RECIPE = 20 * 2 ** 20;            // bytes

// `confirmed(words, choices)` gives the choice that the visitor takes, '' for none.
export function createFiles({ store, server, editing, picture, limits, confirmed }) {
  const warn = (error) => store.set({ notice: { text: error.message } });
  const still = new Set();                   // what waits until the server has the photo again

  function openFile(file) {
    if (/\.json$/i.test(file.name)) openRecipe(file);
    else open(file);
  }
  async function open(source) {
    if (await isKept('Open another photo?')) fetchPhoto(source, show);
  }
  async function close() {
    if (await isKept('Close the photo?')) store.set({ photo: null, ...editing.afresh(), marks: new Map(), shown: new Map(), mode: 'select', alone: false, view: WHOLE, stroke: null });
  }
  // Whether what was done is saved, or may go.
  async function isKept(question) {
    const { photo } = store.state;
    if (!isUnsaved(store.state)) return true;
    const choice = await confirmed(`${question} What you did to ${photo.name} is not saved.`, { save: 'Save first', go: 'Go on without saving', '': 'Stay' });
    return choice === 'save' ? save('photo') : choice === 'go';
  }

  function fetchPhoto(source, then) {
    store.set({ opening: true, working: { words: 'Opening…', share: null } });
    server.open(source, (said) => {
      if (said.share !== undefined) { store.set({ working: carried('Sending', said) }); return; }
      store.set({ opening: false, working: null });
      if (said.error) warn({ message: said.error });
      else then({ ...said, source });
    });
  }
  function show({ recipe, ...said }) {
    store.set({
      photo: photoOf(said), lost: false,
      ...editing.afresh(recipe ? adopt(recipe, limits) : undefined),
      marks: new Map(), shown: new Map(), mode: 'select', alone: false, view: WHOLE, stroke: null,
    });
  }
  const photoOf = (said) => ({ ...only(PHOTO, said), bitmap: said.bitmap, width: said.bitmap.width, height: said.bitmap.height });

  function sendAgain({ lost, photo, opening }) {
    if (!lost || opening) return;
    fetchPhoto(photo.source, (said) => {
      store.set({ photo: { ...photoOf(said), name: photo.name }, lost: false });
      const waiting = [...still];
      still.clear();
      for (const act of waiting) act();
    });
  }
  function whenFound(act) {
    still.add(act);
    store.set({ lost: true });
  }
  store.subscribe(['lost'], sendAgain);

  // What the browser kept of this tab, a page of another version perhaps: its recipe is read as a file is.
  function restore(was) {
    const { recipe } = was, now = blank(limits);
    const same = recipe.ranlen === now.ranlen && recipe.subjects.every((each) => Object.keys(now.subjects[0]).every((name) => name in each));
    server.resume(was.photo.key);
    store.set(same ? was : { ...was, ...editing.afresh(adopt(plain(recipe), limits)) });
  }

  async function openRecipe(file) {
    try {
      if (!store.state.photo) throw new Error('Open the photo first, then its recipe.');
      if (file.size > MOST_RECIPE) throw new Error('This file is too large to be a recipe.');
      let data = null;
      try { data = JSON.parse(await file.text()); } catch { /* told below, as no recipe */ }
      editing.commit(adopt(data, limits), 0);
    } catch (error) { warn(error); }
  }
  function saveRecipe() {
    const { recipe, photo } = store.state, name = `${photo.name.replace(/\.[^.]*$/, '')}_recipe.json`;
    download(new Blob([JSON.stringify(plain(recipe), null, 1)], { type: 'application/json' }), name);
    store.set({ saved: recipe, notice: { text: `Saved ${name}. Dropped on ${photo.name} in any browser, it brings all you did.`, good: true } });
  }

  function openMask(file) {
    server.readMask(file, (said) => {
      if (said.lost) whenFound(() => openMask(file));
      else if (said.share !== undefined) store.set({ working: carried('Sending', said) });
      else {
        store.set({ working: null });
        if (said.error) warn({ message: said.error });
        else editing.replaceEdits([said.edit]);
      }
    });
  }

  // Gives whether it was saved.
  const save = (what) => new Promise((done) => {
    const { recipe, current, format } = store.state;
    if (!isMarked(store.state)) { done(false); return; }
    store.set({ saving: true });
    server.save(plain(recipe), what, current, format, ({ step, share, seconds, error, lost, loses, file, name, bytes }) => {
      if (seconds !== undefined) { store.set({ working: carried('Receiving', { share, seconds }) }); return; }
      if (step) { store.set({ working: { words: `${step}…`, share, seconds: 1.5 } }); return; }
      if (lost) { whenFound(() => save(what).then(done)); return; }
      store.set({ saving: false, working: null });
      if (error) { warn({ message: error }); done(false); return; }
      download(file, name);
      store.set({
        notice: { text: `Saved ${name} (${(bytes / 2 ** 20).toFixed(1)} MB)${loses ? `: ${loses}` : ''}`, good: true },
        ...(what === 'photo' ? { saved: recipe } : {}),
      });
      done(true);
    });
  });

  // The lit picture as it is shown, for another program; its size is said, since the file has more pixels.
  async function copy() {
    const { photo } = store.state, canvas = Object.assign(document.createElement('canvas'), { width: photo.width, height: photo.height });
    canvas.getContext('2d').drawImage(picture.lit(), 0, 0);
    const png = new Promise((done) => { canvas.toBlob(done, 'image/png'); });
    try {
      await navigator.clipboard.write([new ClipboardItem({ 'image/png': png })]);
      const all = photo.size[0] > photo.width ? ` "Save" writes all ${photo.size[0]} × ${photo.size[1]} pixels.` : '';
      store.set({ notice: { text: `Copied ${photo.width} × ${photo.height} pixels.${all}`, good: true } });
    } catch (error) { warn({ message: `The browser did not copy it: ${error.message}` }); }
  }

  return { copy, openFile, open, close, restore, openRecipe, saveRecipe, openMask, save };
}

// How far a file has gone, either way.
function carried(what, { share, seconds }) {
  const left = seconds > 90 ? `, about ${Math.round(seconds / 60)} min` : seconds > 2 ? `, about ${Math.round(seconds)} s` : '';
  return share < 1 ? { words: `${what}… ${Math.round(100 * share)} %${left}`, share, seconds: 0.3 } : { words: what === 'Sending' ? 'Opening…' : 'Saving…', share: null };
}

function download(blob, name) {
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// Photos that are dropped or pasted.
export function listenToDrops(element, stage, take, say) {
  function takeOne(files) {
    if (!files.length) return;
    const file = [...files].find((each) => !/\.json$/i.test(each.name)) ?? files[0];
    take(file);
    if (files.length > 1) say(`One photo at a time: of ${files.length} files, ${file.name} was taken.`);
  }
  let over = 0;
  const shown = (by) => { over = Math.max(0, by); stage.classList.toggle('rl-drop', over > 0); };
  element.addEventListener('dragenter', (event) => { event.preventDefault(); shown(over + 1); });
  element.addEventListener('dragover', (event) => event.preventDefault());
  element.addEventListener('dragleave', () => shown(over - 1));
  element.addEventListener('drop', (event) => {
    event.preventDefault();
    shown(0);
    takeOne(event.dataTransfer.files);
  });
  document.addEventListener('paste', (event) => takeOne(event.clipboardData.files));
}
