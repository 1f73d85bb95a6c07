// Compare: the photo as it was and under every method, equal in size, zoomed and moved together, one mask, one degree. A
// picture and what is said of it come from one answer; while there is none, the pane says so.

import { frameOf } from './geometry.js';
import { lightKey, plain } from './recipe.js';
import { cleared, paint } from './stage.js';
import { valueOf } from './settings.js';
import { subjectOf } from './store.js';

const MOST_KEPT = 2;                         // answers, each with a light for every method

export function createCompare(store, server, renderer, tiles, methods, box) {
  const kept = new Map();                    // lights by method, by `lightKey`
  const panes = [{ name: 'original', title: 'Original' }, ...[...methods].reverse()].map(paneOf);
  let asked = null, lit = null;              // [photo, key, degree, index] of the last question; the photo of what is kept
  box.querySelector('.rl-panes').append(...panes.map((pane) => pane.figure));
  const chooser = box.querySelector('select');
  chooser.append(...panes.map(({ name, title }) => new Option(title, name)));
  chooser.addEventListener('change', () => store.set({ against: chooser.value }));

  function follow(state) {
    if (state.photo !== lit) forget(state.photo);
    const subject = subjectOf(state), key = lightKey(state.recipe, subject);
    if (state.mode !== 'compare' || !state.photo || state.lost || state.pending || state.sliding || !subject.edits.length) return;
    const question = [state.photo, key, subject.degree, subject.denoise, state.current];
    if (asked && question.every((each, i) => each === asked[i])) return;
    asked = question;
    store.set({ comparing: !kept.has(key) });
    server.compare(plain(state.recipe), state.current, renderer.live() && !kept.has(key), (said) => take(question, said));
  }

  async function take(question, said) {
    const [photo, key, degree, denoise] = question;
    if (asked !== question) return;
    if (said.lost) { store.set({ lost: true }); return; }
    if (said.error) {                        // asked again when something changes
      asked = null;
      store.set({ comparing: false, notice: { text: said.error } });
      return;
    }
    const entries = Object.entries(said.methods);
    const made = await Promise.all(entries.filter(([, each]) => each.light).map(async ([name, { light }]) => [name, await renderer.unpack(light, photo)]));
    if (photo !== store.state.photo) { made.forEach(([, light]) => renderer.free(light)); return; }
    if (made.length) keep(key, Object.fromEntries(made));
    if (asked !== question) return;
    const words = Object.fromEntries(entries.map(([name, each]) => [name, each.words]));
    store.set({ comparing: false, compared: { key, degree, denoise, words, lights: kept.get(key) ?? {} } });
  }

  function keep(key, lights) {
    drop(key);
    kept.set(key, lights);
    for (const old of [...kept.keys()].slice(0, -MOST_KEPT)) drop(old);
  }
  function drop(key) {
    Object.values(kept.get(key) ?? {}).forEach(renderer.free);
    kept.delete(key);
  }
  function forget(photo) {
    [...kept.keys()].forEach(drop);
    asked = null;
    lit = photo;
    store.set({ comparing: false, compared: null });
  }

  // One method after the other through the renderer's one canvas; while a key is held, one of them in every pane.
  function draw(state) {
    const { photo, compared, holding, view, clean } = state, subject = subjectOf(state);
    const settled = { ...subject, denoise: clean ? valueOf(subject, 'denoise', photo) : 0 };
    const answer = photo && subject.edits.length && compared?.key === lightKey(state.recipe, subject) ? compared : null;
    for (const { name: own, canvas, bold, said } of panes) {
      const { name, title } = holding ? panes.find((each) => each.name === state.against) : panes.find((each) => each.name === own);
      const context = cleared(canvas), light = answer?.lights[name];
      bold.textContent = title;
      if (!photo) continue;
      let picture = null, list = [], words = ['Being lit…'];
      if (name === 'original') [picture, words] = [photo.bitmap, ['The photo as it was']];
      else if (!subject.edits.length) words = ['Nothing is marked yet'];
      else if (answer) {
        words = answer.degree === subject.degree && answer.denoise === subject.denoise ? answer.words[name] : ['…'];
        if (light && kept.has(answer.key)) [list, picture] = [[[light, settled]], renderer.renderLights([[light, settled]])];
        else if (!renderer.live()) words = [...words, 'No picture: this browser lacks WebGL 2'];
      }
      if (picture) {
        paint(context, picture, frameOf(view, photo, canvas), photo);
        tiles.cover(context, list, own);
      }
      say(said, words);
    }
    box.classList.toggle('rl-ready', Boolean(answer));
    box.classList.toggle('rl-near', view.scale > 1);
  }

  store.subscribe(['photo', 'recipe', 'current', 'mode', 'pending', 'sliding'], follow);
  return { draw, canvases: panes.map((pane) => pane.canvas) };
}

function paneOf({ name, title, note }) {
  const [figure, canvas, caption, bold, said] = ['figure', 'canvas', 'figcaption', 'b', 'ul'].map((tag) => document.createElement(tag));
  figure.dataset.of = name;
  canvas.tabIndex = -1;
  bold.textContent = title;
  caption.append(bold);
  if (note) {
    const small = document.createElement('small');
    small.textContent = note;
    caption.append(' ', small);
  }
  caption.append(said);
  figure.append(canvas, caption);
  return { name, title, figure, canvas, bold, said };
}

function say(list, words) {
  if (list.textContent === words.join('')) return;
  list.replaceChildren(...words.map((each) => Object.assign(document.createElement('li'), { textContent: each })));
}
