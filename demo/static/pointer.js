// Hands on the canvases: one finger or button draws (or moves the line, or the photo), two fingers zoom, the wheel too.

const touches = new Map();
let panning = null, space = false, wiping = false;

element.addEventListener('pointerdown', () => { $('.rl-app').dataset.by = 'hand'; }, true);
element.addEventListener('keydown', (event) => { if (event.key === 'Tab') $('.rl-app').dataset.by = 'keys'; }, true);

const asPanning = (event) => tool === 'pan' || space || event.button === 1 || mode === 'compare';

function down(event) {
  const canvas = event.currentTarget;
  if (!photo) return;
  canvas.setPointerCapture(event.pointerId);
  canvas.focus({ preventScroll: true });
  touches.set(event.pointerId, pixel(event, canvas));
  if (touches.size > 1) { stroke = null; panning = null; wiping = false; render(); return; }
  const at = pixel(event, canvas);
  if (mode === 'wipe' && (nearSplit(at[0]) || view.scale === 1)) { wiping = true; moveSplit(at[0] / canvas.width); return; }
  if (asPanning(event) || mode === 'wipe') { panning = at; event.preventDefault(); return; }
  const point = place(event, canvas), adding = tool !== 'erase' && tool !== 'other' && event.button !== 2 && !event.altKey;
  if (tool === 'subject' || tool === 'other') stroke = { tool: 'subject', points: [point], add: adding };
  else if (tool === 'frame') stroke = { tool: 'frame', points: [within(point), within(point)] };
  else if (tool === 'click') stroke = { tool: 'click', points: [point], radius: sizes.click, add: adding };
  else stroke = { tool: 'brush', points: [point], radius: round(sizes[tool] / view.scale), add: adding };
  render();
}

function move(event) {
  const canvas = event.currentTarget;
  if (!photo) return;
  const now = pixel(event, canvas), before = touches.get(event.pointerId);
  pointerAt = event.pointerType === 'touch' || mode !== 'select' ? null : now;
  if (before) touches.set(event.pointerId, now);
  if (before && touches.size === 2) {
    const other = [...touches.entries()].find(([id]) => id !== event.pointerId)[1];
    const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
    pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2, canvas);
    zoom(apart(now) / Math.max(1, apart(before)), canvas, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  } else if (wiping) moveSplit(now[0] / canvas.width);
  else if (panning) {
    pan(now[0] - panning[0], now[1] - panning[1], canvas);
    panning = now;
  } else if (stroke?.tool === 'brush') {
    const all = event.getCoalescedEvents?.() ?? [];
    for (const each of all.length ? all : [event]) stroke.points.push(place(each, canvas));
  } else if (stroke?.tool === 'frame') stroke.points[1] = within(place(event, canvas));
  else if (stroke) stroke.points = [place(event, canvas)];
  render();
}

function up(event, keep) {
  touches.delete(event.pointerId);
  panning = null;
  wiping = false;
  const done = stroke;
  stroke = null;
  if (!done || !keep) { render(); return; }
  if (done.tool === 'brush') { addEdit({ ...done, points: thinned(done.points, done.radius) }); return; }
  if (done.tool === 'frame') {
    const [from, to] = done.points;
    if (Math.min(Math.abs(from[0] - to[0]), Math.abs(from[1] - to[1])) > 0.01) addEdit({ tool: 'frame', from, to });
    else { render(); hint('Drag a box around the subject'); }
    return;
  }
  if (!inside(done.points[0])) { render(); return; }
  const at = done.points[0];
  addEdit(done.tool === 'subject' ? { tool: 'subject', at, add: done.add } : { tool: 'click', at, radius: round(done.radius), add: done.add });
}

// The fewest points of a stroke that stay within a twelfth of the brush (Douglas and Peucker).
function thinned(points, radius) {
  const short = Math.min(photo.width, photo.height), far = radius / 12;
  const scale = [photo.width / short, photo.height / short];
  const apart = (p, a, b) => {
    const [px, py, bx, by] = [p[0] - a[0], p[1] - a[1], b[0] - a[0], b[1] - a[1]].map((v, i) => v * scale[i % 2]);
    const along = clamp((px * bx + py * by) / (bx * bx + by * by || 1), 0, 1);
    return Math.hypot(px - along * bx, py - along * by);
  };
  const keep = new Set([0, points.length - 1]), parts = [[0, points.length - 1]];
  while (parts.length) {
    const [first, last] = parts.pop();
    let worst = far, at = 0;
    for (let i = first + 1; i < last; i += 1) {
      const away = apart(points[i], points[first], points[last]);
      if (away > worst) [worst, at] = [away, i];
    }
    if (at) { keep.add(at); parts.push([first, at], [at, last]); }
  }
  return points.filter((_, i) => keep.has(i)).map((p) => p.map((v) => round(v)));
}

function wheel(event) {
  if (!photo) return;
  event.preventDefault();
  zoom(Math.exp(-clamp(event.deltaY, -300, 300) / 400), event.currentTarget, ...pixel(event, event.currentTarget));
}

for (const canvas of [main, ...$$('.rl-compare canvas')]) {
  canvas.addEventListener('pointerdown', down);
  canvas.addEventListener('pointermove', move);
  canvas.addEventListener('pointerup', (event) => up(event, true));
  canvas.addEventListener('pointercancel', (event) => up(event, false));
  canvas.addEventListener('pointerleave', () => { pointerAt = null; render(); });
  canvas.addEventListener('contextmenu', (event) => event.preventDefault());
  canvas.addEventListener('wheel', wheel, { passive: false });
  canvas.addEventListener('dblclick', () => { if (mode !== 'select' || tool === 'pan') fit(); });
}
