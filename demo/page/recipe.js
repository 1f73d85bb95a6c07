// A recipe: all that is done to a photo (ranlen/recipe.py), as the page keeps it, reads it and saves it. It is never
// changed in place. `limits` are those of settings.js.

import { clamp } from './settings.js';

// Whether a segmenter is asked, and whether one found the subject, here or before it became a file.
export const finds = (edits, limits) => edits.some((edit) => limits.finds.includes(edit?.tool));
export const isFound = (edits, limits) => finds(edits, limits) || edits.some((edit) => edit?.found === true);

let made = Date.now();                       // a number for each subject, of none that was kept from before
export function blankSubject({ settings }) {
  made += 1;
  const values = Object.entries(settings).map(([name, each]) => [name, each.default]);
  return { id: made, edits: [], ...Object.fromEntries(values), feather_side: null, feather_edges: false };
}
export const blank = (limits) => ({ ranlen: limits.recipe, backbone: limits.backbone, subjects: [blankSubject(limits)] });

// What a file may hold, from anywhere: shape only; numbers and edits are the server's to judge. A plain list of edits, and
// a subject without some settings, as older files have them, are taken too.
export function adopt(data, limits) {
  if (Array.isArray(data)) data = { subjects: [{ edits: data }] };
  if (!Array.isArray(data?.subjects) || !data.subjects.length || !data.subjects.every((each) => Array.isArray(each?.edits))) {
    throw new Error('This file is not a saved recipe.');
  }
  const subjects = data.subjects.slice(0, limits.subjects).map((saved) => {
    const each = renewed(saved, limits.renamed);
    const found = isFound(each.edits, limits);
    const values = Object.entries(limits.settings).map(([name, one]) => {
      const value = each[name] ?? (found ? one.found : one.default);
      return [name, value === null ? null : clamp(Number(value) || 0, one.min, one.max)];
    });
    const { feather_side = null, feather_edges = false } = each;
    return { ...blankSubject(limits), edits: each.edits, ...Object.fromEntries(values), feather_side, feather_edges };
  });
  return { ranlen: limits.recipe, backbone: typeof data.backbone === 'string' ? data.backbone : limits.backbone, subjects };
}

// A subject of an older file in the words of now: of its settings, and of its edits' tools.
function renewed(subject, { settings, tools }) {
  const now = Object.entries(subject).map(([name, value]) => [settings[name] ?? name, value]);
  const edits = subject.edits.map((edit) => (Object.hasOwn(tools, edit?.tool) ? { ...edit, tool: tools[edit.tool] } : edit));
  return { ...Object.fromEntries(now), edits };
}

// As a file and the server have it.
export const plain = ({ subjects, ...recipe }) => ({ ...recipe, subjects: subjects.map(({ id, ...each }) => each) });

// What a subject's areas depend on, and what its light does.
export const areasKey = (subject) => JSON.stringify([subject.edits, subject.feather, subject.feather_side, subject.feather_edges]);
export const lightKey = (recipe, subject) => recipe.backbone + areasKey(subject);
