// What somebody is doing: the photo, the recipe (ranlen/recipe.py) and its history. Nothing here touches the page.
// `element`, `props`, `trigger`, `upload` and `watch` are what Gradio hands to a gr.HTML script.

const $ = (selector) => element.querySelector(selector);
const $$ = (selector) => [...element.querySelectorAll(selector)];

const MIN = 0.005, MAX = 0.5;                // size of circle and brush, in short sides
const PAPER = 2 / 7;                         // the paper's circle
const MOST_SUBJECTS = 8;

const FINDS = ['subject', 'frame', 'part'];  // edits that need the segmenter
const DRAWN_EDGE = 0.1, FOUND_EDGE = 0.04;   // soft edges, in short sides: see FEATHER in ranlen/facts.py

const blankSubject = () => ({ id: ++subjects, edits: [], degree: 1, transition: DRAWN_EDGE, grow: null });
let subjects = 0;                            // made so far, to tell them apart when some are removed
const blank = () => ({ ranlen: 1, backbone: 'deepupe', subjects: [blankSubject()] });

let photo = null;                            // { bitmap, width, height, name, size: [width, height] of the file }
let recipe = blank(), current = 0;           // never changed in place: history holds the same objects
let past = [], future = [], merging = '';

let mode = 'select';                         // or 'wipe' or 'compare'
let tool = 'subject';
const sizes = { click: PAPER, brush: 0.06, erase: 0.06 };  // the others have no size
let showAreas = true, holding = false;

const subject = () => recipe.subjects[current];
const marked = () => recipe.subjects.some((each) => each.edits.length);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const round = (value, digits = 4) => Number(value.toFixed(digits));

// A step that can be taken back. Steps of one name that follow each other are one: a slider that moves.
function commit(next, at = current, name = '') {
  if (!name || name !== merging) past.push([recipe, current]);
  if (past.length > 300) past.shift();
  merging = name;
  future = [];
  recipe = next;
  current = clamp(at, 0, recipe.subjects.length - 1);
  changed();
}

function step(from, to) {
  if (!from.length) return;
  to.push([recipe, current]);
  [recipe, current] = from.pop();
  merging = '';
  changed();
}
const undo = () => step(past, future), redo = () => step(future, past);
const endMerge = () => { merging = ''; };

function setSubject(values, name = '') {
  const list = recipe.subjects.map((each, i) => (i === current ? { ...each, ...values } : each));
  commit({ ...recipe, subjects: list }, current, name);
}
function addEdit(edit) {
  const { edits, transition } = subject();
  const narrow = !edits.length && FINDS.includes(edit.tool) && transition === DRAWN_EDGE;
  setSubject({ edits: [...edits, edit], ...(narrow && { transition: FOUND_EDGE }) });
}

function addSubject() {
  if (recipe.subjects.length < MOST_SUBJECTS) commit({ ...recipe, subjects: [...recipe.subjects, blankSubject()] }, recipe.subjects.length);
}
function removeSubject() {
  if (recipe.subjects.length < 2) { setSubject({ edits: [] }); return; }
  commit({ ...recipe, subjects: recipe.subjects.filter((_, i) => i !== current) }, current - 1);
}

// What a saved session may hold, from any file: shape only; numbers and edits are the server's to judge.
function adopt(data) {
  if (Array.isArray(data)) data = { subjects: [{ edits: data }] };
  if (!data || !Array.isArray(data.subjects) || !data.subjects.length) throw new Error('This file is not a saved session.');
  const list = data.subjects.slice(0, MOST_SUBJECTS).map((each) => {
    if (!each || !Array.isArray(each.edits)) throw new Error('This file is not a saved session.');
    const { edits, degree = 1, grow = null } = each;
    const transition = each.transition ?? (edits.some((edit) => FINDS.includes(edit?.tool)) ? FOUND_EDGE : DRAWN_EDGE);
    return { ...blankSubject(), edits, degree: clamp(Number(degree) || 0, 0, 2), transition: clamp(Number(transition) || 0, 0, 1), grow };
  });
  return { ranlen: 1, backbone: typeof data.backbone === 'string' ? data.backbone : 'deepupe', subjects: list };
}

function session() {
  const list = recipe.subjects.map(({ edits, degree, transition, grow }) => ({ edits, degree, transition, grow }));
  return { ranlen: 1, backbone: recipe.backbone, subjects: list };
}
