// What a click would select, asked while the pointer, or the cross that keys move, rests on the photo; it goes when either
// moves on, and changes nothing. The server says whether its segmenter is quick enough.

import { inside } from './geometry.js';
import { plain } from './recipe.js';
import { subjectOf } from './store.js';
import { editOf, strokeOf } from './strokes.js';

const REST = 150;                            // milliseconds; more where an answer takes longer
const AGAIN = 1000;                          // until it is asked again, where the photo is still looked at or the server is busy
const SHOWN = 4000;                          // after which it is the photo that one looks at

export function createGlance(store, server, stage, canvas) {
  let timer = 0, asking = false, took = 0;
  let wanted = null;                         // what the hand rests on, until it moves

  function follow(state) {
    clearTimeout(timer);
    if (state.glance) store.set({ glance: null });
    wanted = questionOf(state);
    if (wanted) timer = setTimeout(ask, Math.max(REST, took));
  }
  function questionOf(state) {
    const { photo, recipe, pointerAt, cross, tool } = state, subject = subjectOf(state);
    const busy = state.stroke || state.space || state.holding || state.sliding || state.pending || state.opening || state.lost || state.away;
    if (!photo || busy || state.mode !== 'select' || !state.showAreas || !(pointerAt || cross)) return null;
    if (tool !== 'subject' && !(tool === 'other' && subject.edits.length)) return null;
    const place = cross ?? stage.placeAt(pointerAt, canvas);
    if (!inside(place)) return null;
    return plain({ ...recipe, subjects: [{ ...subject, edits: [...subject.edits, editOf(strokeOf(state, place), photo)] }] });
  }

  async function ask() {                     // one at a time
    const question = wanted, began = performance.now();
    if (asking || !question) return;
    asking = true;
    const { found, lost } = await server.glance(question);
    asking = false;
    took = performance.now() - began;
    if (question !== wanted) follow(store.state);
    else if (lost) store.set({ lost });
    else if (found) {
      store.set({ glance: found });
      timer = setTimeout(() => store.set({ glance: null }), SHOWN);
    } else timer = setTimeout(ask, AGAIN);
  }

  store.subscribe(['photo', 'recipe', 'current', 'mode', 'tool', 'pointerAt', 'cross', 'view', 'stroke', 'space', 'holding', 'sliding',
    'pending', 'opening', 'lost', 'away', 'showAreas'], follow);
}
