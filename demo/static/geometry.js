// Where the photo lies in a canvas. One view for all canvases, so that they zoom and move together: a scale, and the
// point of the photo in the middle. Photo coordinates run from 0 to 1 along each side.

const view = { scale: 1, x: 0.5, y: 0.5 };

function frameIn(canvas) {
  const fit = Math.min(canvas.width / photo.width, canvas.height / photo.height);
  const width = photo.width * fit * view.scale, height = photo.height * fit * view.scale;
  const bound = (middle, size, room) => (size <= room ? (room - size) / 2 : clamp(room / 2 - middle * size, room - size, 0));
  return { x: bound(view.x, width, canvas.width), y: bound(view.y, height, canvas.height), width, height, short: Math.min(width, height) };
}

function pixel(event, canvas) {
  const box = canvas.getBoundingClientRect(), ratio = canvas.width / box.width;
  return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
}

function place(event, canvas) {
  const [x, y] = pixel(event, canvas), f = frameIn(canvas);
  return [round((x - f.x) / f.width), round((y - f.y) / f.height)];
}

const within = (point) => point.map((value) => clamp(value, 0, 1));
const inside = ([x, y]) => x >= 0 && x <= 1 && y >= 0 && y <= 1;

function settleView(canvas) {                // the middle as it is shown, after the photo met an edge
  const f = frameIn(canvas);
  view.x = (canvas.width / 2 - f.x) / f.width;
  view.y = (canvas.height / 2 - f.y) / f.height;
}

function zoom(factor, canvas, x = canvas.width / 2, y = canvas.height / 2) {
  if (!photo) return;
  const f = frameIn(canvas), at = [(x - f.x) / f.width, (y - f.y) / f.height];
  const scale = clamp(view.scale * factor, 1, 24), grown = scale / view.scale;
  view.scale = scale;
  view.x = at[0] + (canvas.width / 2 - x) / (f.width * grown);
  view.y = at[1] + (canvas.height / 2 - y) / (f.height * grown);
  settleView(canvas);
  render();
}

function pan(dx, dy, canvas) {
  const f = frameIn(canvas);
  view.x -= dx / f.width;
  view.y -= dy / f.height;
  settleView(canvas);
  render();
}

function fit() { Object.assign(view, { scale: 1, x: 0.5, y: 0.5 }); render(); }

// A canvas as many pixels as the screen gives it.
function sized(canvas) {
  const ratio = devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio)), height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return canvas.getContext('2d');
}

function paint(context, picture, f) {
  context.imageSmoothingEnabled = f.width < 6 * photo.width;   // far in, pixels are what one looks at
  context.imageSmoothingQuality = f.width < 0.7 * photo.width ? 'high' : 'low';   // high takes ten times as long
  context.drawImage(picture, f.x, f.y, f.width, f.height);
}
