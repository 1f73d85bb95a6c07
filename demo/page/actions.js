// What can be done: by a button with `data-act`, by a key, or both; and when it cannot.

import { blank } from './recipe.js';
import { PRESETS, LARGEST, SMALLEST, clamp, round } from './settings.js';
import { JOINS, hasParts, isMarked, joinOf, partOf, subjectOf } from './store.js';

export function createActions({ $, store, editing, stage, files, wipe, limits }) {
  const { setSubject, addEdit, addSubject, removeSubject, undo, redo } = editing;
  const marked = (state) => subjectOf(state).edits.length > 0;

  const pick = (tool) => store.set({ tool });
  const resize = (value) => {
    const { sizes, tool } = store.state;
    if (sizes[tool]) store.set({ sizes: { ...sizes, [tool]: clamp(value, SMALLEST, LARGEST) } });
  };
  const scale = (factor) => resize(store.state.sizes[store.state.tool] * factor);
  const hold = (holding) => store.set({ holding });
  const show = (mode) => { if (store.state.photo) store.set({ mode, pointerAt: null }); };
  const choose = (current) => store.set({ current, merging: '' });
  const preset = (name) => setSubject(PRESETS[name]);
  const network = (backbone) => editing.commit({ ...store.state.recipe, backbone });
  const useTool = (tool) => { pick(tool); show('select'); };
  const help = () => { if ($('.rl-help').open) $('.rl-help').close(); else $('.rl-help').showModal(); };
  const sheet = (on) => $('.rl-app').classList.toggle('rl-sheet', on);
  function nudge(by) {
    const { min, max } = limits.settings.degree;
    if (isMarked(store.state)) setSubject({ degree: round(clamp(subjectOf(store.state).degree + by, min, max)) }, 'nudge');
  }
  function shift(way) { if (store.state.mode === 'wipe') wipe.nudge(0.02 * way); }

  const run = {
    undo, redo, help: () => help(), more: () => sheet(),
    open: () => $('.rl-file').click(), loadmask: () => $('.rl-maskfile').click(), loadrecipe: () => $('.rl-recipefile').click(),
    close: files.close, reload: () => location.reload(), startover: () => editing.commit(blank(limits), 0),
    auto: () => setSubject({ degree: limits.settings.degree.default }), autodenoise: () => setSubject({ denoise: null }), copy: files.copy,
    save: () => files.save('photo'), savemask: () => files.save('mask'), saverecipe: files.saveRecipe,
    fit: stage.fit, own: () => stage.own(), in: () => stage.zoom(1.5), out: () => stage.zoom(1 / 1.5),
    full: () => (document.fullscreenElement ? document.exitFullscreen() : $('.rl-app').requestFullscreen?.()),
    areas: () => store.set({ showAreas: !store.state.showAreas }),
    alone: () => { store.set({ alone: !store.state.alone }); show('select'); },
    smaller: () => addEdit({ tool: 'part', larger: false }, 'part'), larger: () => addEdit({ tool: 'part', larger: true }, 'part'),
    invert: () => addEdit({ tool: 'invert' }), fill: () => addEdit({ tool: 'fill' }),
    grow: () => addEdit({ tool: 'grow', by: 0.01 }), shrink: () => addEdit({ tool: 'grow', by: -0.01 }),
    clear: editing.clear,
    add: addSubject, remove: removeSubject,
  };
  const hasPhoto = (state) => Boolean(state.photo);
  const can = {                              // the others always
    undo: (state) => state.past.length > 0, redo: (state) => state.future.length > 0,
    close: hasPhoto, startover: isMarked,
    auto: (state) => hasPhoto(state) && subjectOf(state).degree !== limits.settings.degree.default,
    autodenoise: (state) => hasPhoto(state) && subjectOf(state).denoise !== null,
    copy: (state) => isMarked(state) && Boolean(navigator.clipboard?.write),
    save: (state) => isMarked(state) && !state.saving, saverecipe: isMarked, savemask: marked, loadmask: hasPhoto, loadrecipe: hasPhoto,
    alone: (state) => marked(state) || state.alone,
    invert: marked, grow: marked, shrink: marked, fill: marked, clear: marked,
    smaller: (state) => hasParts(state) && (partOf(state)?.[0] ?? 2) > 1,
    larger: (state) => hasParts(state) && (partOf(state) === null || partOf(state)[0] < partOf(state)[1]),
    add: (state) => state.photo && marked(state) && state.recipe.subjects.length < limits.subjects,
    remove: (state) => state.recipe.subjects.length > 1,
  };
  const act = (name) => { if (!can[name] || can[name](store.state)) run[name]?.(); };

  const swapped = { subject: 'other', other: 'subject', brush: 'erase', erase: 'brush' };
  const keys = [                             // in this order `?` shows them
    ['S', 'Click the subject', () => pick('subject')],
    ['N', 'Click what is not part of it', () => pick('other')],
    ['R', 'Box around the subject', () => pick('bounding_box')],
    ['C', 'Circle', () => pick('circle')],
    ['B', 'Brush', () => pick('brush')],
    ['G', 'Gradient', () => pick('gradient')],
    ['E', 'Erase', () => pick('erase')],
    ['H', 'Move the photo', () => pick('pan')],
    ['X', 'Swap subject and not this, or brush and erase', () => pick(swapped[store.state.tool] ?? store.state.tool)],
    ['D', 'What is drawn is added, is taken away, or leaves what is in both', () => store.set({ join: JOINS[(JOINS.indexOf(joinOf(store.state)) + 1) % 3] })],
    ['[', 'Smaller brush or circle', () => scale(1 / 1.2)],
    [']', 'Larger brush or circle', () => scale(1.2)],
    ['-', 'A smaller part of the subject', () => act('smaller')],
    ['+', 'A larger part of the subject', () => act('larger')],
    ['I', 'Invert the mask', () => act('invert')],
    ['O', 'Show or hide the areas', () => act('areas')],
    ['M', 'The mask alone, in white, or the photo', () => act('alone')],
    ['A', 'As much light as the network proposes', () => act('auto')],
    [',', 'A little less light', () => nudge(-0.01)],
    ['.', 'A little more light', () => nudge(0.01)],
    ['←', 'Before and after: the line to the left', () => shift(-1)],
    ['→', 'Before and after: the line to the right', () => shift(1)],
    ['1', 'Select', () => show('select')],
    ['2', 'Before and after', () => show('wipe')],
    ['3', 'Compare', () => show('compare')],
    ['\\', 'Hold: the photo as it was; in Compare, what is chosen there', () => hold(true)],
    ['0', 'Fit: the whole photo', () => act('fit')],
    ['Z', '100 %: the photo’s own pixels', () => act('own')],
    ['F', 'Full screen', () => act('full')],
    ['?', 'This list', () => help()],
  ];

  return { act, can, keys, useTool, resize, hold, show, choose, preset, network, help, sheet };
}

const ALSO = [['↑ ↓ ← →', 'Select: move a cross; with ⇧, finely'], ['Enter', 'Mark what is under the cross; with ⇧, not this'],
  ['Ctrl Z', 'Undo'], ['Ctrl ⇧ Z', 'Redo'], ['Ctrl S', 'Save at full size'], ['Ctrl C', 'Copy the lit picture'],
  ['Space', 'Hold and drag: move the photo'], ['Wheel', 'Zoom'],
  ['Right button, Alt', 'Not this; erase']];
const ALIASES = { '=': '+', arrowleft: '←', arrowright: '→' };

// Keys, while the focus is in the editor and not in a field.
export function listenToKeys(element, $, store, { act, keys, hold, sheet }) {
  element.addEventListener('keydown', (event) => {
    const key = event.key.toLowerCase(), command = event.ctrlKey || event.metaKey, typing = event.target.matches('input, select');
    if (key === 'escape') { sheet(false); store.set({ cross: null, stroke: null }); return; }
    if (typing && !(command && event.target.type === 'range')) return;
    if (command) {
      if (key === 'z') act(event.shiftKey ? 'redo' : 'undo');
      else if (key === 'y') act('redo');
      else if (key === 's') act('save');
      else if (key === 'c' && event.target.tagName === 'CANVAS') act('copy');
      else return;
    } else if (key === ' ') {
      if (event.target.tagName !== 'CANVAS') return;
      store.set({ space: true });
    } else {
      const known = keys.find(([name]) => name.toLowerCase() === (ALIASES[key] ?? key));
      if (!known || event.altKey) return;
      known[2]();
    }
    event.preventDefault();
  });
  element.addEventListener('keyup', (event) => {
    if (event.key === '\\') hold(false);
    if (event.key === ' ') store.set({ space: false });
  });
  $('.rl-keys').append(...[...keys, ...ALSO].map(([name, what]) => {
    const row = document.createElement('div'), key = document.createElement('kbd');
    key.textContent = name;
    row.append(key, what);
    return row;
  }));
}
