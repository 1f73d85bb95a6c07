// Keeps the light in step with the recipe: asks for areas and lights that are not known yet, and, when the hand rests,
// for the server's own frame, which replaces the preview.

import { areasKey, finds, lightKey, plain } from './recipe.js';
import { valueOf } from './settings.js';
import { isMarked } from './store.js';

const MOST_LIGHTS = 16;                      // kept, with those that are shown
const PAUSE = 250;                           // milliseconds until steps that join are taken to be over

export function createLighting(store, server, renderer, limits) {
  const lights = new Map();                  // by `lightKey`: what was asked is not asked again
  let lit = null, settling = 0;              // the photo that they light; the timer of its frame
  let failed = null;                         // a recipe that the server refused

  function follow({ photo, recipe, shown, lost }) {
    if (photo !== lit) forget(photo);
    const subjects = recipe.subjects.map((each) => ({ ...each, areas: areasKey(each), light: lightKey(recipe, each) }));
    const wanted = subjects.flatMap((each, i) => (each.edits.length && !lights.has(each.light) ? [i] : []));
    const pending = photo && wanted.length ? { photo, subjects } : null;
    if (pending && !lost) {
      const drawn = !wanted.some((i) => finds(subjects[i].edits, limits));
      server.edit(plain(recipe), wanted, drawn, (said) => take(pending, said));
    }
    const still = new Map();
    for (const each of subjects) {
      const light = each.edits.length ? lights.get(each.light) ?? shown.get(each.id) : null;
      if (light) still.set(each.id, light);
    }
    store.set({ pending, exact: null, shown: still, ...(pending ? {} : { working: null }) });
  }

  async function take(question, said) {
    if (store.state.pending !== question) return;
    if (said.encoding !== undefined) { store.set({ working: looks(said.encoding) }); return; }
    store.set({ working: null });
    if (said.lost) { store.set({ lost: true }); return; }  // and asked again when the server has the photo again
    if (said.error) {
      failed = store.state.recipe;
      store.set({ pending: null, notice: { text: said.error } });
      return;
    }
    const made = await Promise.all(Object.entries(said.lights ?? {}).map(async ([i, packed]) => [i, await renderer.unpack(packed, question.photo)]));
    if (store.state.photo !== question.photo) { made.forEach(([, light]) => renderer.free(light)); return; }
    const marks = new Map(store.state.marks), shown = new Map(store.state.shown), now = store.state.pending === question;
    for (const [i, found] of Object.entries(said.marks ?? {})) {
      const { id, areas, edits } = question.subjects[i];
      if (found.error === undefined) marks.set(areas, { ...found, edits });
      else {
        marks.delete(areas);
        if (now) shown.delete(id);
        if (found.error) store.set({ notice: { text: found.error } });
      }
    }
    for (const [i, light] of made) {
      const { id, light: key } = question.subjects[i];
      lights.set(key, light);
      if (now) shown.set(id, light);
    }
    trim(shown);
    store.set({ marks, shown, ...(said.done && now ? { pending: null } : {}) });
  }

  function looks(left) {                     // the segmenter, at the photo, which is done once
    const about = left > 1.2 ? `, about ${Math.round(left)} s` : '';
    return { words: `Looking at the photo${about}. Your click is kept.`, share: left === null ? null : 0.95, seconds: left ?? 0 };
  }

  function settle(state) {
    clearTimeout(settling);
    const { photo, recipe, pending, exact, sliding, merging, lost } = state;
    if (!photo || lost || !isMarked(state) || pending || exact || recipe === failed || (sliding && renderer.live())) return;
    settling = setTimeout(() => server.exact(plain(recipe), (said) => {
      const now = store.state;
      if (said.lost) { if (now.photo === photo && !now.opening) store.set({ lost: true }); return; }
      if (said.box !== undefined && now.recipe === recipe && !now.pending && !now.sliding) store.set({ exact: { box: said.box, bitmap: said.bitmap } });
    }), merging && !sliding ? PAUSE : 0);
  }

  // The photo without noise, once some light takes any out; until it is there, there is noise. Where it does not come, it
  // is asked for again with the next change.
  function quiet({ photo, recipe, shown, clean, cleaning, lost }) {
    const wanted = recipe.subjects.some((each) => shown.has(each.id) && each.degree && valueOf(each, 'denoise', photo));
    if (!photo || clean || lost || !wanted || cleaning === photo) return;
    store.set({ cleaning: photo });
    server.clean((said) => {
      if (store.state.photo !== photo) return;
      store.set({ cleaning: null, ...(said.lost && { lost: true }), ...(said.bitmap && { clean: said.bitmap }) });
    });
  }

  function forget(photo) {
    store.set({ clean: null, cleaning: null });
    lights.forEach(renderer.free);
    lights.clear();
    lit = photo;
  }
  function trim(shown) {
    const seen = new Set(shown.values());
    for (const [key, light] of lights) {
      if (lights.size <= MOST_LIGHTS) break;
      if (seen.has(light)) continue;
      lights.delete(key);
      renderer.free(light);
    }
  }

  store.subscribe(['photo', 'recipe'], follow);
  store.subscribe(['photo', 'recipe', 'pending', 'sliding', 'merging'], settle);
  store.subscribe(['photo', 'recipe', 'shown', 'pending', 'lost'], quiet);
  return { again: () => follow(store.state) };
}
