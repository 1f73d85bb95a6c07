// The canvases: their size, where the photo lies in them, and that what they show is drawn anew when something changes.

import { WHOLE, enlargement, frameOf, panned, placeOf, zoomed } from './geometry.js';

export const screenRatio = () => devicePixelRatio || 1;

// A canvas as many pixels as the screen gives it, empty.
export function cleared(canvas) {
  const width = Math.max(1, Math.round(canvas.clientWidth * screenRatio())), height = Math.max(1, Math.round(canvas.clientHeight * screenRatio()));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, width, height);
  return context;
}

// To whole pixels, as tiles are laid: all pictures of a photo end alike.
export function paint(context, picture, frame, photo) {
  const [x, y, right, bottom] = [frame.x, frame.y, frame.x + frame.width, frame.y + frame.height].map(Math.round);
  context.imageSmoothingEnabled = frame.width < 6 * photo.width;   // far in, pixels are what one looks at
  context.imageSmoothingQuality = frame.width < 0.7 * photo.width ? 'high' : 'low';   // high takes ten times as long
  context.drawImage(picture, 0, 0, photo.width, photo.height, x, y, right - x, bottom - y);
}

export function pixelOf(event, canvas) {
  const box = canvas.getBoundingClientRect(), ratio = canvas.width / box.width;
  return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
}

// `views`, by mode: what draws it, and its canvases, the first of which is zoomed by buttons.
export function createStage(store, views) {
  const shownCanvas = () => views[store.state.mode].canvases[0];
  const frameIn = (canvas) => frameOf(store.state.view, store.state.photo, canvas);
  const placeAt = (pixel, canvas) => placeOf(pixel, frameIn(canvas));
  const placeIn = (event, canvas) => placeAt(pixelOf(event, canvas), canvas);

  function zoom(factor, canvas = shownCanvas(), ...at) {
    if (store.state.photo) store.set({ view: zoomed(store.state.view, store.state.photo, canvas, factor, ...at) });
  }
  function pan(dx, dy, canvas) { store.set({ view: panned(store.state.view, store.state.photo, canvas, dx, dy) }); }
  function fit() { store.set({ view: WHOLE }); }
  const enlarged = (canvas = shownCanvas()) => enlargement(store.state.view, store.state.photo, canvas);
  const canOwn = () => enlargement(WHOLE, store.state.photo, shownCanvas()) < 1;  // a smaller photo is never shown smaller than it fits
  function own(canvas = shownCanvas(), ...at) { if (store.state.photo) zoom(1 / enlarged(canvas), canvas, ...at); }

  let asked = false;
  function draw() {                          // at most once a frame
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; views[store.state.mode].draw(store.state); });
  }
  store.subscribe(null, draw);
  document.addEventListener('fullscreenchange', draw);

  return { frameIn, placeAt, placeIn, zoom, pan, fit, own, canOwn, enlarged, draw };
}
