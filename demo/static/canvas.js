// The canvas: shows the photo as it is lit, takes clicks and strokes, and sends them as a short list of edits
// (ranlen/edits.py). Pictures travel one way only, from the server to here.
// `element`, `props`, `trigger` and `watch` are what Gradio hands to a gr.HTML script.

const $ = (selector) => element.querySelector(selector);
const stage = $('.rl-stage'), canvas = $('canvas'), context = canvas.getContext('2d');
const empty = $('.rl-empty'), hint = $('.rl-hint'), parts = $('.rl-parts'), slider = $('[data-size]');

const MIN = 0.01, MAX = 0.5;                 // size of circle and brush, in short sides
const PAPER = 2 / 7;                         // the paper's circle
let photo = null, lit = null, overlay = null;
let edits = [], undone = [], stroke = null;
let tool = 'subject', sizes = { click: PAPER, brush: 0.06, erase: 0.06 };  // the others have no size
let view = { scale: 1, x: 0, y: 0 }, showAreas = true, holding = false, panning = null, space = false, pointer = null;
let strength = 1, fading = 0;                // of the areas' overlay
const touches = new Map();

// --- geometry: photo coordinates run from 0 to 1 along each side --------------------------------------------------

function frame() {
  const fit = Math.min(canvas.width / photo.width, canvas.height / photo.height);
  const width = photo.width * fit * view.scale, height = photo.height * fit * view.scale;
  const bound = (offset, size, room) => size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, offset));
  view.x = bound(view.x, width, canvas.width);
  view.y = bound(view.y, height, canvas.height);
  return { x: view.x, y: view.y, width, height, short: Math.min(width, height) };
}

function pixel(event) {
  const box = canvas.getBoundingClientRect(), ratio = canvas.width / box.width;
  return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
}

function place(event) {
  const [x, y] = pixel(event), f = frame();
  return [round((x - f.x) / f.width), round((y - f.y) / f.height)];
}

const round = (value) => Math.round(value * 1e4) / 1e4;
const within = (point) => point.map((value) => Math.min(1, Math.max(0, value)));
const inside = ([x, y]) => x >= 0 && x <= 1 && y >= 0 && y <= 1;

// --- drawing -------------------------------------------------------------------------------------------------------

function draw() {
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (!photo) return;
  const f = frame();
  context.imageSmoothingQuality = 'high';
  context.drawImage(!holding && lit ? lit : photo, f.x, f.y, f.width, f.height);
  if (holding) return;
  if (overlay && showAreas) {
    context.globalAlpha = strength;
    context.drawImage(overlay, f.x, f.y, f.width, f.height);
    context.globalAlpha = 1;
  }
  if (showAreas) for (const edit of edits) if (edit.tool === 'subject') drawDot(edit, f);
  const frames = [...(showAreas ? edits : []), stroke].filter((edit) => edit?.tool === 'frame');
  if (frames.length) drawFrame(frames[frames.length - 1], f);
  if (stroke && stroke.radius) drawStroke(stroke, f);
  if (pointer && sizes[tool] && !panning && touches.size < 2) drawRing(f);
}

function drawStroke(edit, f) {
  context.save();
  context.globalAlpha = 0.45;
  context.strokeStyle = context.fillStyle = edit.add ? '#ffa028' : '#202020';
  context.lineCap = context.lineJoin = 'round';
  context.lineWidth = 2 * edit.radius * f.short;
  context.beginPath();
  edit.points.forEach(([x, y], i) => context[i ? 'lineTo' : 'moveTo'](f.x + x * f.width, f.y + y * f.height));
  if (edit.points.length === 1) context.lineTo(f.x + edit.points[0][0] * f.width + 0.01, f.y + edit.points[0][1] * f.height);
  context.stroke();
  context.restore();
}

function drawDot(edit, f) {
  context.beginPath();
  context.arc(f.x + edit.at[0] * f.width, f.y + edit.at[1] * f.height, 5 * devicePixelRatio, 0, 7);
  context.fillStyle = edit.add ? '#ffa028' : '#202020';
  context.fill();
  context.lineWidth = 1.5 * devicePixelRatio;
  context.strokeStyle = '#fff';
  context.stroke();
}

function drawFrame({ points: [a, b] }, f) {
  const box = [f.x + a[0] * f.width, f.y + a[1] * f.height, (b[0] - a[0]) * f.width, (b[1] - a[1]) * f.height];
  context.lineWidth = 3 * devicePixelRatio;
  context.strokeStyle = 'rgba(0,0,0,.5)';
  context.strokeRect(...box);
  context.lineWidth = 1.5 * devicePixelRatio;
  context.strokeStyle = '#ffa028';
  context.strokeRect(...box);
}

function drawRing(f) {
  context.beginPath();
  context.arc(pointer[0], pointer[1], sizes[tool] * f.short, 0, 7);
  context.lineWidth = devicePixelRatio;
  context.setLineDash(tool === 'erase' ? [6, 5] : []);
  context.strokeStyle = 'rgba(0,0,0,.6)';
  context.stroke();
  context.lineWidth = devicePixelRatio * 0.7;
  context.strokeStyle = '#fff';
  context.stroke();
  context.setLineDash([]);
}

// The areas stand out after every edit, then step back so that the light can be seen.
function flash() {
  clearTimeout(fading);
  strength = 1;
  const dim = () => {
    strength = Math.max(0.25, strength - 0.05);
    draw();
    if (strength > 0.25) fading = setTimeout(dim, 30);
  };
  fading = setTimeout(dim, 1200);
}

function layout() {
  const ratio = devicePixelRatio || 1;
  if (photo) {
    const room = innerHeight * (innerWidth < 641 ? 0.56 : 0.66);
    canvas.style.height = `${Math.round(Math.min(room, canvas.clientWidth * photo.height / photo.width))}px`;
  }
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  draw();
}

function say(text) { hint.textContent = text; }

function refresh() {
  element.querySelectorAll('[data-tool]').forEach((b) => b.setAttribute('aria-pressed', b.dataset.tool === tool));
  $('[data-act=overlay]').setAttribute('aria-pressed', showAreas);
  $('[data-act=undo]').disabled = !edits.length;
  $('[data-act=redo]').disabled = !undone.length;
  $('[data-act=clear]').disabled = !edits.length;
  parts.hidden = !edits.some((edit) => edit.tool === 'frame' || (edit.tool === 'subject' && edit.add));
  slider.disabled = !sizes[tool];
  if (sizes[tool]) slider.value = 100 * Math.log(sizes[tool] / MIN) / Math.log(MAX / MIN);
  empty.style.display = photo ? 'none' : '';
  canvas.style.cursor = !photo ? 'default' : space ? 'grab' : 'crosshair';
  say(photo && !edits.length ? 'Click the subject' : '');
  draw();
}

// --- edits ---------------------------------------------------------------------------------------------------------

function send() {
  if (!edits.length) lit = overlay = null;
  stage.classList.toggle('rl-waiting', edits.length > 0);
  refresh();
  trigger('edit', { edits });
}

function add(edit) { edits.push(edit); undone = []; send(); }

function act(name) {
  if (name === 'undo' && edits.length) { undone.push(edits.pop()); send(); }
  else if (name === 'redo' && undone.length) { edits.push(undone.pop()); send(); }
  else if (name === 'clear' && edits.length) { undone = []; edits = []; send(); }
  else if (name === 'smaller' || name === 'larger') add({ tool: 'part', larger: name === 'larger' });
  else if (name === 'fit') { view = { scale: 1, x: 0, y: 0 }; draw(); }
  else if (name === 'overlay') { showAreas = !showAreas; refresh(); }
}

function pick(name) { tool = name; refresh(); }
function resize(value) { if (sizes[tool]) sizes[tool] = Math.min(MAX, Math.max(MIN, value)); refresh(); }
function hold(on) { if (holding !== on) { holding = on; draw(); } }

// --- pointer: one finger or button draws, two fingers or the space bar move the photo ------------------------------

canvas.addEventListener('pointerdown', (event) => {
  if (!photo) return;
  canvas.setPointerCapture(event.pointerId);
  touches.set(event.pointerId, pixel(event));
  if (touches.size > 1) { stroke = null; draw(); return; }
  if (space || event.button === 1) { panning = pixel(event); event.preventDefault(); return; }
  const at = place(event), adding = tool !== 'erase' && tool !== 'other' && event.button !== 2 && !event.altKey;
  if (tool === 'subject' || tool === 'other') stroke = { tool: 'subject', points: [at], add: adding };
  else if (tool === 'frame') stroke = { tool: 'frame', points: [within(at), within(at)] };
  else if (tool === 'click') stroke = { tool: 'click', points: [at], radius: sizes.click, add: adding };
  else stroke = { tool: 'brush', points: [at], radius: round(sizes[tool] / view.scale), add: adding };
  draw();
});

canvas.addEventListener('pointermove', (event) => {
  if (!photo) return;
  const now = pixel(event), before = touches.get(event.pointerId);
  pointer = event.pointerType === 'touch' ? null : now;
  if (before) touches.set(event.pointerId, now);
  if (before && touches.size === 2) {
    const other = [...touches.entries()].find(([id]) => id !== event.pointerId)[1];
    const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
    view.x += (now[0] - before[0]) / 2;
    view.y += (now[1] - before[1]) / 2;
    zoom(apart(now) / Math.max(1, apart(before)), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  } else if (panning) {
    view.x += now[0] - panning[0];
    view.y += now[1] - panning[1];
    panning = now;
  } else if (stroke && stroke.tool === 'brush') {
    const all = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const each of all.length ? all : [event]) stroke.points.push(place(each));
  } else if (stroke && stroke.tool === 'frame') stroke.points[1] = within(place(event));
  else if (stroke) stroke.points = [place(event)];
  draw();
});

function finish(event, keep) {
  touches.delete(event.pointerId);
  panning = null;
  if (!stroke) return;
  const done = stroke;
  stroke = null;
  if (!keep) { draw(); return; }
  if (done.tool === 'brush') add(thin(done));
  else if (done.tool === 'frame') {
    const [a, b] = done.points;
    if (Math.min(Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1])) > MIN) add({ ...done, from: a, to: b });
    else { draw(); say('Drag a box around the subject'); }
  }
  else if (!inside(done.points[0])) draw();
  else if (done.tool === 'subject') add({ tool: 'subject', at: done.points[0], add: done.add });
  else add({ tool: 'click', at: done.points[0], radius: round(done.radius), add: done.add });
}

// A stroke's points closer than a tenth of the brush say nothing.
function thin(edit) {
  const kept = [edit.points[0]];
  for (const p of edit.points.slice(1)) {
    const last = kept[kept.length - 1];
    if (Math.hypot(p[0] - last[0], p[1] - last[1]) > edit.radius / 10) kept.push(p);
  }
  return { ...edit, points: kept };
}

canvas.addEventListener('pointerup', (event) => finish(event, true));
canvas.addEventListener('pointercancel', (event) => finish(event, false));
canvas.addEventListener('pointerleave', () => { pointer = null; draw(); });
canvas.addEventListener('contextmenu', (event) => event.preventDefault());

function zoom(factor, x, y) {
  const scale = Math.min(16, Math.max(1, view.scale * factor));
  view.x = x - (x - view.x) * scale / view.scale;
  view.y = y - (y - view.y) * scale / view.scale;
  view.scale = scale;
  draw();
}

canvas.addEventListener('wheel', (event) => {
  if (!photo || (event.deltaY > 0 && view.scale === 1)) return;   // zoomed out: let the page scroll
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / 400), ...pixel(event));
}, { passive: false });

// --- keys, only while the canvas has the focus ---------------------------------------------------------------------

canvas.addEventListener('keydown', (event) => {
  const key = event.key.toLowerCase(), command = event.ctrlKey || event.metaKey;
  if (command && key === 'z') act(event.shiftKey ? 'redo' : 'undo');
  else if (command) return;
  else if (key === 's') pick('subject');
  else if (key === 'n') pick('other');
  else if (key === 'r') pick('frame');
  else if ((key === '-' || key === '+' || key === '=') && !parts.hidden) act(key === '-' ? 'smaller' : 'larger');
  else if (key === 'c') pick('click');
  else if (key === 'b') pick('brush');
  else if (key === 'e') pick('erase');
  else if (key === '[') resize(sizes[tool] / 1.2);
  else if (key === ']') resize(sizes[tool] * 1.2);
  else if (key === 'o') act('overlay');
  else if (key === '0') act('fit');
  else if (key === '\\') hold(true);
  else if (key === ' ') { space = true; refresh(); }
  else return;
  event.preventDefault();
});
canvas.addEventListener('keyup', (event) => {
  if (event.key === '\\') hold(false);
  if (event.key === ' ') { space = false; refresh(); }
});

// --- buttons, files, server ----------------------------------------------------------------------------------------

for (const bar of [$('.rl-bar'), parts]) bar.addEventListener('click', (event) => {
  const data = event.target.dataset;
  if (data.tool) pick(data.tool);
  if (data.act) act(data.act);
});
slider.addEventListener('input', () => resize(MIN * (MAX / MIN) ** (slider.value / 100)));
for (const [name, on] of [['pointerdown', true], ['pointerup', false], ['pointerleave', false], ['blur', false]]) {
  $('[data-hold]').addEventListener(name, () => hold(on));
}

// Files go through Gradio's own upload, so that its limits hold for them too.
const input = () => document.querySelector('#photo input[type=file]');
function give(files) {
  const field = input();
  if (!field || !files.length) return;
  const transfer = new DataTransfer();
  transfer.items.add(files[0]);
  field.files = transfer.files;
  field.dispatchEvent(new Event('change', { bubbles: true }));
}
$('.rl-choose').addEventListener('click', () => input()?.click());
stage.addEventListener('dragover', (event) => { event.preventDefault(); stage.classList.add('rl-drop'); });
stage.addEventListener('dragleave', () => stage.classList.remove('rl-drop'));
stage.addEventListener('drop', (event) => { event.preventDefault(); stage.classList.remove('rl-drop'); give(event.dataTransfer.files); });
document.addEventListener('paste', (event) => { if (event.clipboardData.files.length) give(event.clipboardData.files); });

// While a slider of the page moves, the areas step back.
document.addEventListener('pointerdown', (event) => {
  if (!event.target.closest('#degree, #transition') || !showAreas) return;
  showAreas = false; draw();
  document.addEventListener('pointerup', () => { showAreas = true; draw(); }, { once: true });
});

function load(url, done) {
  if (!url) { done(null); return; }
  const image = new Image();
  image.onload = () => done(image);
  image.src = url;
}

watch('photo', () => load(props.photo, (image) => {
  photo = image; lit = overlay = null;
  edits = JSON.parse(props.edits || '[]'); undone = [];
  view = { scale: 1, x: 0, y: 0 };
  refresh(); layout();
}));
watch('lit', () => load(props.lit, (image) => { if (edits.length) lit = image; stage.classList.remove('rl-waiting'); draw(); }));
watch('areas', () => load(props.areas, (image) => { if (edits.length) overlay = image; flash(); draw(); }));
watch('answer', () => stage.classList.remove('rl-waiting'));
new ResizeObserver(layout).observe(canvas);
refresh();
