// The lit photo as something to draw from: the server's frame if it is there, else the shader's picture, else the photo.

import { lightsOf, subjectOf } from './store.js';
import { sameLights } from './light.js';

const STEP = 0.125;                          // of degree, between pictures that are faded into each other
const SLOW = 12;                             // milliseconds: more do not fit into a frame

export function createPicture(store, renderer, degree) {
  const frame = document.createElement('canvas');  // the server's, on the photo
  const mixed = document.createElement('canvas');
  let framed = null, of = null;              // the answer and the photo in `frame`

  function lit() {
    const state = store.state, { photo, exact } = state, lights = lightsOf(state);
    if (!lights.length) return photo.bitmap;
    if (exact) return exact === framed ? frame : frameFrom(photo, exact);
    if (!renderer.live()) return of === photo ? frame : photo.bitmap;  // the server's last frame
    return state.sliding && slow ? faded(lights, subjectOf(state)) : renderer.renderLights(lights);
  }

  function frameFrom(photo, exact) {
    Object.assign(frame, { width: photo.width, height: photo.height });
    const context = frame.getContext('2d');
    context.drawImage(photo.bitmap, 0, 0);
    if (exact.bitmap) context.drawImage(exact.bitmap, exact.box[0], exact.box[1]);
    [framed, of] = [exact, photo];
    return frame;
  }

  // Without a GPU the shader takes longer than a frame. There, it makes a picture every so many degrees while nobody
  // waits, and while the slider moves the two nearest are faded into each other: a level or so from what the shader makes.

  const timed = new WeakSet();               // lights whose time is known
  let slow = false, pictures = new Map(), picturesOf = null, making = 0;

  const at = (lights, value) => lights.map(([light, each]) => [light, light === chosen() ? { ...each, degree: value } : each]);
  const chosen = () => store.state.shown.get(subjectOf(store.state).id);
  const known = (lights) => sameLights(picturesOf, at(lights, 0));

  function pictureAt(lights, i) {
    if (!known(lights)) [pictures, picturesOf] = [new Map(), at(lights, 0)];
    if (!pictures.has(i)) {
      const made = document.createElement('canvas'), source = renderer.renderLights(at(lights, i * STEP));
      Object.assign(made, { width: source.width, height: source.height });
      made.getContext('2d', { willReadFrequently: true }).drawImage(source, 0, 0);
      pictures.set(i, made);
    }
    return pictures.get(i);
  }

  function faded(lights, subject) {
    const place = subject.degree / STEP, i = Math.min(Math.floor(place), degree.max / STEP - 1);
    const [low, high] = [pictureAt(lights, i), pictureAt(lights, i + 1)];
    if (mixed.width !== low.width || mixed.height !== low.height) Object.assign(mixed, { width: low.width, height: low.height });
    const context = mixed.getContext('2d', { willReadFrequently: true });
    context.globalAlpha = 1;
    context.drawImage(low, 0, 0);
    context.globalAlpha = place - i;
    context.drawImage(high, 0, 0);
    return mixed;
  }

  const order = Array.from({ length: degree.max / STEP + 1 }, (_, i) => i)  // what is near the default first
    .sort((one, other) => Math.abs(one - degree.default / STEP) - Math.abs(other - degree.default / STEP));
  function prepare() {
    clearTimeout(making);
    const { pending, sliding } = store.state, lights = lightsOf(store.state);
    if (!slow || pending || sliding || !lights.length || !renderer.live()) return;
    const missing = order.find((i) => !known(lights) || !pictures.has(i));
    if (missing !== undefined) making = setTimeout(() => { pictureAt(lightsOf(store.state), missing); prepare(); }, 40);
  }

  store.subscribe(['photo'], ({ photo }) => { if (photo) renderer.showPhoto(photo.bitmap); });
  store.subscribe(['clean'], ({ clean }) => renderer.showClean(clean));
  store.subscribe(['shown', 'pending'], (state) => {
    const lights = lightsOf(state);
    if (state.pending || !lights.some(([light]) => !timed.has(light)) || !renderer.live()) return;
    for (const [light] of lights) timed.add(light);
    slow = renderer.clock(lights) > SLOW;
  });
  store.subscribe(['shown', 'pending', 'recipe', 'current', 'sliding', 'clean'], prepare);
  return { lit, isSlow: () => slow };
}
