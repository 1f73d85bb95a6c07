// Without a GPU the shader takes longer than a frame. There, it makes a picture every so many degrees while nobody waits,
// and while the slider moves the two nearest are faded into each other: half a level from what the shader makes.

const STEP = 0.25;
const mixed = document.createElement('canvas');
let slow = false, pictures = new Map(), picturesOf = null, making = 0;

// How long the shader takes here; waits for its result.
function clockShader() {
  const list = lighting();
  if (!live() || !list.length) return;
  const start = performance.now();
  shine(list);
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  drawn = list;
  slow = performance.now() - start > 12;
  if (slow) prepare();
}

// All but the degree of the chosen subject, by which pictures are kept.
const others = (list) => list.map(([light, degree]) => [light, light === shown.get(subject().id) ? 0 : degree]);

function pictureAt(list, i) {
  if (!same(picturesOf, others(list))) { pictures = new Map(); picturesOf = others(list); }
  if (!pictures.has(i)) {
    const made = document.createElement('canvas');
    Object.assign(made, { width: glass.width, height: glass.height });
    shine(list.map(([light, degree]) => [light, light === shown.get(subject().id) ? i * STEP : degree]));
    drawn = null;
    made.getContext('2d', { willReadFrequently: true }).drawImage(glass, 0, 0);
    pictures.set(i, made);
  }
  return pictures.get(i);
}

function prepare() {
  clearTimeout(making);
  const list = lighting(), missing = [4, 3, 5, 2, 6, 1, 7, 0, 8].find((i) => !same(picturesOf, others(list)) || !pictures.has(i));
  if (!list.length || missing === undefined) return;
  making = setTimeout(() => {
    if (!sliding && !pending && list.length) pictureAt(lighting(), missing);
    prepare();
  }, 40);
}

function faded(list) {
  const at = subject().degree / STEP, i = Math.min(Math.floor(at), 2 / STEP - 1);
  if (mixed.width !== glass.width || mixed.height !== glass.height) Object.assign(mixed, { width: glass.width, height: glass.height });
  const context = mixed.getContext('2d', { willReadFrequently: true });
  context.globalAlpha = 1;
  context.drawImage(pictureAt(list, i), 0, 0);
  context.globalAlpha = at - i;
  context.drawImage(pictureAt(list, i + 1), 0, 0);
  return mixed;
}
