// What the page knows. Whoever changes a field says so with `set`; whoever shows one is told by `subscribe`; nothing else
// is shared. A value is never changed in place: a new one is set.

import { areasKey, blank } from './recipe.js';
import { CIRCLE, clamp, valueOf } from './settings.js';

export function createStore(fields) {
  let state = Object.freeze({ ...fields }), changed = new Set(), telling = false;
  const listeners = new Set();

  // What a listener sets is told in a round of its own, so that each sees the latest state and none is skipped.
  function set(values) {
    for (const [name, value] of Object.entries(values)) {
      if (!(name in state)) throw new Error(`The store has no field "${name}".`);
      if (state[name] !== value) changed.add(name);
    }
    state = Object.freeze({ ...state, ...values });
    if (telling) return;
    telling = true;
    try {
      while (changed.size) {
        const names = changed;
        changed = new Set();
        for (const [wanted, listener] of listeners) if (!wanted || wanted.some((name) => names.has(name))) listener(state);
      }
    } finally { telling = false; }
  }

  // `listener(state)` after a change of one of the fields `names`, or of any; what it returns ends that.
  function subscribe(names, listener) {
    const entry = [names, listener];
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  return { get state() { return state; }, set, subscribe };
}

export const fieldsOf = (limits) => ({
  photo: null,          // { bitmap, width, height, name, size: [width, height] of the file, source, picture, key,
                        // denoise: how much denoising suits it }
  recipe: blank(limits),  // recipe.js; the history holds the same objects
  current: 0,           // which of its subjects is worked on
  past: [],             // [recipe, current] before each step
  future: [],           // likewise, of the steps taken back
  merging: '',          // the name of the last step, while those of the same name still join it
  format: 'same',       // as what the lit photo is saved, a name of demo/editing.py
  saved: null,          // the recipe that was saved last, or that the photo came with

  marks: new Map(),     // areas by `areasKey` of a subject: { size, a, b, shares, part: [which, of how many] or null, edits: those that made them }
  shown: new Map(),     // by a subject's id: its latest light, until a newer one comes
  pending: null,        // { subjects } whose areas and lights are asked for
  clean: null,          // the photo without noise, once a light needs it: a bitmap
  cleaning: null,       // the photo whose noise is being taken out: until then it is shown
  exact: null,          // the server's own frame of this recipe: { box, bitmap }, both null where nothing changes
  compared: null,       // the last answer of Compare: { key, degree, denoise, lights, words }; both by method

  away: false,          // the server cannot be reached: true; 'renewed' where it serves another version of the page
  lost: false,          // the server does not know the photo any more: it is sent again
  unkept: null,         // why the browser does not keep this work
  opening: false,       // a photo is on its way
  comparing: false,     // Compare is waited for
  tiling: false,        // tiles of the photo at full size are
  saving: false,        // a file is being written
  working: null,        // what takes long: { words, share, seconds }; the bar goes to `share` in `seconds`
  notice: null,         // what is said once: { text, good }
  learnt: [],           // what needs no hint any more

  mode: 'select',       // or 'wipe' or 'compare'
  tool: 'subject',
  join: true,           // how a shape joins a mask that has one: `JOINS`
  sizes: { circle: CIRCLE, brush: 0.06, erase: 0.06 },  // in short sides; the other tools have none
  showAreas: true,
  alone: false,         // the mask is shown in the photo's place, white on black
  colour: 'orange',     // of the areas, a name of settings.js
  holding: false,       // the original is shown while a button or key is held
  sliding: false,       // a slider is being moved: the areas are hidden
  space: false,         // held: every tool moves the photo
  stroke: null,         // what the hand is drawing: { tool, points, radius, add }
  pointerAt: null,      // where the brush would paint, in pixels of the canvas
  glance: null,         // what a click there would select: { size, a }, or nobody knows
  cross: null,          // where a key would, [x, y] in the photo
  view: { scale: 1, x: 0.5, y: 0.5 },  // geometry.js
  split: null,          // where the line of "before and after" was put, from 0 (left) to 1; else it stands on the subject
  against: 'original',  // which method all panes of Compare show while the key is held
});

// What follows from the state.
export const subjectOf = (state) => state.recipe.subjects[state.current];
export const isMarked = (state) => state.recipe.subjects.some((each) => each.edits.length);
export const isUnsaved = (state) => isMarked(state) && state.recipe !== state.saved;
export const isWaiting = (state) => Boolean(state.opening || state.pending || state.comparing || state.tiling || state.cleaning);
export const lightsOf = ({ recipe, shown, photo, clean }) => recipe.subjects.filter((each) => shown.has(each.id))
  .map((each) => [shown.get(each.id), { ...each, denoise: clean ? valueOf(each, 'denoise', photo) : 0 }]);
// How what a tool draws joins the mask: true is added, false taken away, 'intersect' leaves what is in both; clicks add.
export const JOINS = [true, false, 'intersect'];
export const canJoin = ({ tool }) => ['circle', 'brush', 'gradient'].includes(tool);
export const joinOf = (state) => (canJoin(state) ? !subjectOf(state).edits.length || state.join : state.tool !== 'erase');
export const hasParts = (state) => state.mode === 'select' && ['subject', 'other', 'bounding_box'].includes(state.tool) &&
  subjectOf(state).edits.some((edit) => edit.tool === 'bounding_box' || (edit.tool === 'subject' && edit.add !== false));

// Which of how many parts of what was clicked the subject is, from the smallest: as the server said, or from what it said
// before the last steps; null while nobody knows.
export function partOf(state) {
  const subject = subjectOf(state);
  for (let { edits } = subject, steps = 0; ;) {
    const part = state.marks.get(areasKey({ ...subject, edits }))?.part, last = edits[edits.length - 1];
    if (part) return [clamp(part[0] + steps, 1, part[1]), part[1]];
    if (last?.tool !== 'part') return null;
    steps += last.larger ? 1 : -1;
    edits = edits.slice(0, -1);
  }
}
