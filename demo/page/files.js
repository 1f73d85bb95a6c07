// Files in and out: a photo by button, drop or paste; masks; recipes; results.

import { WHOLE } from './geometry.js';
import { adopt, plain } from './recipe.js';
import { isMarked } from './store.js';

const MOST_RECIPE = 20 * 2 ** 20;            // bytes

export function createFiles({ store, server, editing, limits }) {
  const warn = (error) => store.set({ notice: { text: error.message } });

  function openFile(file) {
    if (/\.json$/i.test(file.name)) openRecipe(file);
    else open(file);
  }
  function open(source) {
    store.set({ opening: true, working: { words: 'Opening…', share: null } });
    server.open(source, (said) => {
      store.set({ opening: false, working: null });
      if (said.error) store.set({ notice: { text: said.error } });
      else show(said);
    });
  }
  function show({ bitmap, name, size, recipe }) {
    store.set({
      photo: { bitmap, width: bitmap.width, height: bitmap.height, name, size },
      ...editing.afresh(recipe ? adopt(recipe, limits) : undefined),
      marks: new Map(), shown: new Map(), mode: 'select', view: WHOLE, stroke: null,
    });
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
    const text = JSON.stringify(plain(store.state.recipe), null, 1), url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    download(url, `${store.state.photo.name.replace(/\.[^.]*$/, '')}_recipe.json`);
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  function openMask(file) {
    server.readMask(file, (said) => {
      if (said.error) warn({ message: said.error });
      else editing.setSubject({ edits: [said.edit] });
    });
  }
  function save(what, format) {
    const { recipe, current } = store.state;
    if (!isMarked(store.state)) return;
    store.set({ saving: true });
    server.save(plain(recipe), what, current, format, ({ step, share, error, url, name, bytes, lost }) => {
      if (step) { store.set({ working: { words: `${step}…`, share, seconds: 1.5 } }); return; }
      store.set({ saving: false, working: null });
      if (error) { store.set({ notice: { text: error } }); return; }
      download(url, name);
      store.set({ notice: { text: `Saved ${name} (${(bytes / 2 ** 20).toFixed(1)} MB)${lost ? `: ${lost}` : ''}`, good: true } });
    });
  }

  return { openFile, open, openRecipe, saveRecipe, openMask, save };
}

function download(href, name) {
  const link = Object.assign(document.createElement('a'), { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

// Photos that are dropped or pasted.
export function listenToDrops(element, stage, take) {
  let over = 0;
  const shown = (by) => { over = Math.max(0, by); stage.classList.toggle('rl-drop', over > 0); };
  element.addEventListener('dragenter', (event) => { event.preventDefault(); shown(over + 1); });
  element.addEventListener('dragover', (event) => event.preventDefault());
  element.addEventListener('dragleave', () => shown(over - 1));
  element.addEventListener('drop', (event) => {
    event.preventDefault();
    shown(0);
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
  document.addEventListener('paste', (event) => { if (event.clipboardData.files.length) take(event.clipboardData.files[0]); });
}
