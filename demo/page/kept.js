// The work of this tab in the browser's own store, IndexedDB: the photo's file, what is shown of it, the recipe and its
// history. It outlives a reload, Back, a crash and the server, and goes nowhere; closing the photo removes it.
//
//   session                        the tab's own name, for the server too
//   read()                         { photo, work } as they were kept, or null
//   write(work, photo)             null, or why it could not be kept; without a photo, that one stays
//   forget()

import { COLOURS } from './settings.js';

const OLD = 7 * 24 * 3600 * 1000;            // milliseconds after which a tab that was closed is forgotten
const NAME = 'ranlen';

export async function openKept() {
  const before = remembered(), mine = before && await claimed(before), session = mine ? before : random();
  if (!mine) await claimed(session);         // a tab that was duplicated brings its work along, and goes its own way
  remember(session);
  let failed = null;
  const database = await opened().catch((error) => { failed = error; return null; });

  async function change(stores, act) {
    if (!database) throw failed;
    const transaction = database.transaction(stores, 'readwrite');
    act(...stores.map((name) => transaction.objectStore(name)));
    transaction.commit();                    // also when the page is just being left
    await new Promise((done, fail) => { transaction.oncomplete = done; transaction.onabort = () => fail(transaction.error); });
  }
  async function read() {
    try {
      const stores = database.transaction(['photos', 'works']);
      const [photo, work] = await Promise.all(['photos', 'works'].map((name) => answer(stores.objectStore(name).get(before ?? session))));
      return photo && work ? { photo, work } : null;
    } catch { return null; }
  }
  async function write(work, photo) {
    try {
      await change(['photos', 'works'], (photos, works) => {
        works.put({ ...work, changed: Date.now() }, session);
        if (photo) photos.put(photo, session);
      });
      return null;
    } catch (error) {
      return error?.name === 'QuotaExceededError' ? 'it has no room for this photo' : 'it keeps nothing, as in a private window';
    }
  }
  const forget = () => change(['photos', 'works'], (photos, works) => { photos.delete(session); works.delete(session); }).catch(() => {});

  function sweep(photos, works) {
    works.openCursor().onsuccess = ({ target: { result: cursor } }) => {
      if (!cursor) return;
      if (!(cursor.value.changed > Date.now() - OLD)) { photos.delete(cursor.key); cursor.delete(); }
      cursor.continue();
    };
  }
  if (database) sweep(...['photos', 'works'].map((name) => database.transaction(['photos', 'works'], 'readwrite').objectStore(name)));
  return { session, read, write, forget };
}

const answer = (request) => new Promise((done, fail) => { request.onsuccess = () => done(request.result); request.onerror = () => fail(request.error); });
async function opened() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => { for (const name of ['photos', 'works']) request.result.createObjectStore(name); };
  return answer(request);
}

const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
function remembered() { try { return sessionStorage.getItem(NAME); } catch { return null; } }
function remember(session) { try { sessionStorage.setItem(NAME, session); } catch { /* it is forgotten with the page */ } }
// Whether no other tab has the name; this one then holds it for as long as it lives.
function claimed(session) {
  if (!navigator.locks) return true;
  return new Promise((done) => {
    navigator.locks.request(`${NAME} ${session}`, { ifAvailable: true }, (lock) => { done(Boolean(lock)); return lock && new Promise(() => {}); });
  });
}

// What suits a person, whatever the photo, in all tabs of the browser.
export function keepTaste(store) {
  try { if (localStorage.getItem(NAME) in COLOURS) store.set({ colour: localStorage.getItem(NAME) }); } catch { /* a private window */ }
  store.subscribe(['colour'], ({ colour }) => { try { localStorage.setItem(NAME, colour); } catch { /* it is for now */ } });
}

// What is kept of the state, and when it is written: one after the other, the latest last.
const STEPS = ['recipe', 'current', 'past', 'future', 'saved'], VIEW = ['mode', 'tool', 'sizes', 'format', 'view', 'learnt'];
const WORK = [...STEPS, ...VIEW];
const PAUSE = 200;                           // milliseconds between writes
export const PHOTO = ['source', 'picture', 'name', 'size', 'key', 'denoise'];
export const only = (names, from) => Object.fromEntries(names.filter((name) => name in from).map((name) => [name, from[name]]));  // an older page knew fewer

export function createKeeping(store, kept) {
  let written = null, wanted = false, writing = false;

  async function keep() {
    wanted = true;
    if (writing) return;
    writing = true;
    while (wanted) {
      wanted = false;
      await write(store.state);
      await new Promise((done) => { setTimeout(done, PAUSE); });
    }
    writing = false;
  }
  async function write(state) {
    const { photo, sliding } = state;
    if (sliding) return;
    const unkept = photo ? await kept.write(only(WORK, state), photo === written ? null : only(PHOTO, photo)) : await kept.forget();
    if (!unkept) written = photo;
    store.set({ unkept: unkept ?? null });
  }
  // What was kept, as values of the store.
  async function bring() {
    const was = await kept.read();
    if (!was) return null;
    const bitmap = await createImageBitmap(was.photo.picture, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
    return { photo: { ...was.photo, bitmap, width: bitmap.width, height: bitmap.height }, ...only(WORK, was.work) };
  }

  store.subscribe(['photo', ...STEPS, 'sliding'], keep);
  window.addEventListener('pagehide', () => { if (store.state.photo) write(store.state); });
  return { bring };
}
