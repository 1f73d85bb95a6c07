// Everything that changes the recipe, as steps that can be taken back.

import { blank, blankSubject, isFound } from './recipe.js';
import { HINTS, clamp } from './settings.js';
import { subjectOf } from './store.js';
import { editOf } from './strokes.js';

const MOST_STEPS = 300;

export function createEditing(store, limits) {
  // Steps of one name that follow each other are one: a slider that moves.
  function commit(recipe, at = store.state.current, name = '') {
    const { past, merging, recipe: before, current } = store.state;
    store.set({
      recipe,
      current: clamp(at, 0, recipe.subjects.length - 1),
      past: name && name === merging ? past : [...past, [before, current]].slice(-MOST_STEPS),
      future: [],
      merging: name,
    });
  }
  const endMerge = () => store.set({ merging: '' });

  function step(from, to) {
    const { [from]: steps, [to]: others, recipe, current } = store.state;
    if (!steps.length) return;
    const [next, at] = steps[steps.length - 1];
    store.set({ recipe: next, current: at, [from]: steps.slice(0, -1), [to]: [...others, [recipe, current]], merging: '' });
  }
  const undo = () => step('past', 'future'), redo = () => step('future', 'past');

  function setSubject(values, name = '') {
    const { recipe, current } = store.state;
    const subjects = recipe.subjects.map((each, i) => (i === current ? { ...each, ...values } : each));
    commit({ ...recipe, subjects }, current, name);
  }

  // Whether a subject was found or drawn says which settings suit it; those that somebody set stay.
  function suiting(subject, edits) {
    const [was, is] = [subject.edits, edits].map((each) => (isFound(each, limits) ? 'found' : 'default'));
    return Object.fromEntries(Object.entries(limits.settings).filter(([name, each]) => subject[name] === each[was]).map(([name, each]) => [name, each[is]]));
  }
  function replaceEdits(edits) { setSubject({ edits, ...suiting(subjectOf(store.state), edits) }); }
  function addEdit(edit, name) {
    const { edits } = subjectOf(store.state);
    if (edits.length) setSubject({ edits: [...edits, edit] }, name);
    else replaceEdits([edit]);
  }
  const clear = () => replaceEdits([]);

  function addStroke(stroke) {
    const edit = editOf(stroke, store.state.photo);
    if (edit) addEdit(edit);
    else if (edit === undefined) store.set({ notice: { text: `${HINTS[stroke.tool]}.` } });
  }

  function addSubject() {
    const { recipe } = store.state, { subjects } = recipe;
    if (subjects.length < limits.subjects) commit({ ...recipe, subjects: [...subjects, blankSubject(limits)] }, subjects.length);
  }
  function removeSubject() {
    const { recipe, current } = store.state;
    if (recipe.subjects.length < 2) { clear(); return; }
    commit({ ...recipe, subjects: recipe.subjects.filter((_, i) => i !== current) }, current - 1);
  }

  // What a new photo starts with.
  const afresh = (recipe = blank(limits)) => ({ recipe, saved: recipe, current: 0, past: [], future: [], merging: '' });

  return { commit, endMerge, undo, redo, setSubject, addEdit, addStroke, replaceEdits, clear, addSubject, removeSubject, afresh };
}
