// The page: `start` puts its parts together, each of which knows only those before it.
//
//   settings, recipe, geometry       values and what is worked out from them
//   store                            what the page knows
//   strokes, editing                 what a hand draws; what changes the recipe
//   queue, server                    what is asked of the server, and how it travels
//   kept                             what the browser keeps of it
//   light, picture, tiles, stage     the shader; the lit photo; its own pixels; the canvases
//   lighting, compare                ask when something changed, and keep the answers
//   select, wipe, compare            the three views
//   actions, pointer, cross, glance, panel, files, asking   the visitor's hands, and what they see

import { createActions, listenToKeys } from './actions.js';
import { createAsking } from './asking.js';
import { createCompare } from './compare.js';
import { listenToCross } from './cross.js';
import { createEditing } from './editing.js';
import { createFiles, listenToDrops } from './files.js';
import { createGlance } from './glance.js';
import { createKeeping, keepTaste, openKept } from './kept.js';
import { createRenderer } from './light.js';
import { createLighting } from './lighting.js';
import { button, createPanel } from './panel.js';
import { createPicture } from './picture.js';
import { listenToHands } from './pointer.js';
import { createQueue } from './queue.js';
import { plain } from './recipe.js';
import { createSelect } from './select.js';
import { connect } from './server.js';
import { limitsOf } from './settings.js';
import { createStage } from './stage.js';
import { createStore, fieldsOf, isUnsaved } from './store.js';
import { createTiles } from './tiles.js';
import { createWipe } from './wipe.js';

// What Gradio hands to a gr.HTML script: `element` holds page.html, `props` what the server says.
export async function start({ element, props }) {
  const $ = (selector) => element.querySelector(selector), $$ = (selector) => [...element.querySelectorAll(selector)];
  const limits = limitsOf(JSON.parse(props.limits)), main = $('.rl-main');

  const store = createStore(fieldsOf(limits));
  const editing = createEditing(store, limits);
  const kept = await openKept();
  const queue = createQueue({ questions: JSON.parse(props.questions), props: limits.answers, session: kept.session });
  const server = connect(queue, limits.megabytes, (there) => store.set({ away: there === null ? 'renewed' : !there }));
  const renderer = createRenderer($('.rl-shader'), () => lighting.again());
  const picture = createPicture(store, renderer, limits.settings.degree);
  const lighting = createLighting(store, server, renderer, limits);
  const redraw = () => stage.draw();
  const tiles = createTiles(store, server, renderer, picture, redraw);
  const wipe = createWipe(store, main, picture, tiles);
  const select = createSelect(store, main, picture, tiles, redraw);
  const compare = createCompare(store, server, renderer, tiles, limits.methods, $('.rl-compare'));
  const stage = createStage(store, { select, wipe, compare });
  const files = createFiles({ store, server, editing, picture, limits, confirmed: createAsking($('.rl-ask')) });
  const actions = createActions({ $, store, editing, stage, files, wipe, limits });

  createPanel({ element, $, $$, store, editing, actions, stage, limits });
  listenToHands(element, [main, ...compare.canvases], { store, editing, stage, wipe });
  listenToCross(main, store, editing, stage);
  if (limits.glances) createGlance(store, server, stage, main);
  listenToKeys(element, $, store, actions);
  listenToDrops(element, $('.rl-stage'), files.openFile, (text) => store.set({ notice: { text, good: true } }));
  $('.rl-empty').addEventListener('click', (event) => { if (!event.target.closest('button')) actions.act('open'); });
  for (const [selector, take] of [['.rl-file', files.openFile], ['.rl-maskfile', files.openMask], ['.rl-recipefile', files.openRecipe]]) {
    $(selector).addEventListener('change', (event) => { if (event.target.files[0]) take(event.target.files[0]); event.target.value = ''; });
  }
  for (const { name, src } of JSON.parse(props.examples)) {
    const example = Object.assign(button('', {}, `Example: ${name}`), { className: 'rl-example', title: `Open the example ${name}, lit` });
    example.append(Object.assign(new Image(), { src, alt: '' }));
    example.addEventListener('click', () => files.open({ example: name }));
    $('.rl-examples').append(example);
  }
  window.addEventListener('beforeunload', (event) => { if (store.state.unkept && isUnsaved(store.state)) event.preventDefault(); });
  new ResizeObserver(stage.draw).observe($('.rl-stage'));
  store.subscribe(['exact'], ({ exact }) => { if (exact) element.dispatchEvent(new CustomEvent('exact')); });
  store.subscribe(['photo'], () => main.focus({ preventScroll: true }));  // keys work at once

  // What a test may ask: the pixels of the lit photo at its own size, where on the screen a place of it lies, the recipe.
  element.ranlen = {
    width: () => store.state.photo.width,
    pixels() {
      const { width, height } = store.state.photo;
      const copy = Object.assign(document.createElement('canvas'), { width, height }), context = copy.getContext('2d', { willReadFrequently: true });
      context.drawImage(picture.lit(), 0, 0);
      return context.getImageData(0, 0, width, height).data;
    },
    place(x, y) {
      const box = main.getBoundingClientRect(), frame = stage.frameIn(main), ratio = main.width / box.width;
      return [box.left + (frame.x + x * frame.width) / ratio, box.top + (frame.y + y * frame.height) / ratio];
    },
    recipe: () => plain(store.state.recipe),
    cross: () => store.state.cross,
    glance: () => store.state.glance,
    split: wipe.place,
  };
  keepTaste(store);
  const keeping = createKeeping(store, kept), was = await keeping.bring();
  if (was) files.restore(was);
  element.classList.add('rl-there');
}
