// Select: the lit photo, the areas over it, and what the hand is drawing.

import { frameOf } from './geometry.js';
import { areasKey } from './recipe.js';
import { cleared, paint, screenRatio } from './stage.js';
import { lightsOf, subjectOf } from './store.js';

const A = '#ffa028', B = '#46c8ff';
const FAINT = 0.22;                          // areas stand out after an edit, then step back

export function createSelect(store, canvas, picture, tiles, redraw) {
  let strength = 0, fading = 0;
  let last = null;                           // areas of the chosen subject, until newer ones come
  const paths = new WeakMap();               // by areas
  const hatch = hatched();

  function draw(state) {
    const context = cleared(canvas), { photo, recipe, current, stroke } = state;
    if (!photo) return;
    const frame = frameOf(state.view, photo, canvas);
    paint(context, state.holding ? photo.bitmap : picture.lit(), frame, photo);
    tiles.cover(context, state.holding ? [] : lightsOf(state));
    if (state.holding) return;
    if (state.showAreas && !state.sliding) {
      recipe.subjects.forEach((each, i) => {
        const found = foundOf(state, each) ?? (i === current ? last : null);
        if (found && each.edits.length) drawAreas(context, found, frame, i === current ? strength : 0.25 * strength);
      });
      drawEdits(context, state, frame);
    }
    if (state.glance) drawGlance(context, state.glance, frame);
    if (stroke?.tool === 'bounding_box') drawBox(context, { from: stroke.points[0], to: stroke.points[1] }, frame);
    if (stroke?.radius) drawStroke(context, stroke, frame);
    if (state.cross) drawCross(context, state, frame);
    if (pointerOf(state, frame) && state.sizes[state.tool]) drawRing(context, state, frame);
  }
  const foundOf = (state, subject) => state.marks.get(areasKey(subject));

  function drawEdits(context, state, frame) {
    const { edits } = subjectOf(state), answered = (foundOf(state, subjectOf(state)) ?? last)?.edits ?? [];
    for (const edit of edits) if (edit.tool === 'subject') drawDot(context, edit, frame);
    if (state.pending) for (const edit of edits) if (edit.radius && !answered.includes(edit)) drawStroke(context, edit, frame);
    const frames = edits.filter((edit) => edit.tool === 'bounding_box');
    if (frames.length) drawBox(context, frames[frames.length - 1], frame);
  }

  // The borders of areas as they lie in the canvas.
  function pathsIn(frame, found) {
    if (!paths.has(found)) paths.set(found, [found.a, found.b ?? []].map((lines) => pathOf(lines, found.size)));
    return paths.get(found).map((path) => {
      const scaled = new Path2D();
      scaled.addPath(path, new DOMMatrix([frame.width, 0, 0, frame.height, frame.x, frame.y]));
      return scaled;
    });
  }

  // Dashed: it is not there yet.
  function drawGlance(context, found, frame) {
    const ratio = screenRatio(), [path] = pathsIn(frame, found);
    context.save();
    context.fillStyle = 'rgba(255,255,255,.14)';
    context.fill(path, 'evenodd');
    for (const [width, colour, dash] of [[3.2, 'rgba(0,0,0,.55)', []], [1.6, '#fff', [6, 5]]]) {
      context.lineWidth = width * ratio;
      context.strokeStyle = colour;
      context.setLineDash(dash.map((each) => each * ratio));
      context.stroke(path);
    }
    context.restore();
  }

  function drawAreas(context, found, frame, alpha) {
    const ratio = screenRatio(), [a, b] = pathsIn(frame, found);
    context.save();
    context.globalAlpha = alpha * 0.55;
    const band = new Path2D(b);
    band.addPath(a);
    context.fillStyle = context.createPattern(hatch, 'repeat');
    context.fill(band, 'evenodd');
    context.globalAlpha = alpha * 0.12;
    context.fillStyle = A;
    context.fill(a, 'evenodd');
    for (const [path, colour, width] of [[b, B, 1], [a, A, 1.6]]) {
      context.globalAlpha = Math.min(1, alpha + 0.1) * 0.5;
      context.lineWidth = (width + 1.6) * ratio;
      context.strokeStyle = '#000';
      context.stroke(path);
      context.globalAlpha = Math.min(1, alpha + 0.1);
      context.lineWidth = width * ratio;
      context.strokeStyle = colour;
      context.stroke(path);
    }
    context.restore();
  }

  function flash() {
    clearTimeout(fading);
    strength = 1;
    const dim = () => {
      strength = Math.max(FAINT, strength - 0.06);
      redraw();
      if (strength > FAINT) fading = setTimeout(dim, 30);
    };
    fading = setTimeout(dim, 1400);
  }

  store.subscribe(['photo', 'current'], () => { last = null; });
  store.subscribe(['marks', 'recipe', 'current'], (state) => { last = foundOf(state, subjectOf(state)) ?? last; });
  store.subscribe(['marks', 'current'], flash);
  return { draw, canvases: [canvas] };
}

// Lines of cells as a path in photo coordinates: crisp at any zoom.
function pathOf(lines, [height, width]) {
  const made = new Path2D();
  for (const line of lines) {
    for (let i = 0; i < line.length; i += 2) made[i ? 'lineTo' : 'moveTo']((line[i] + 0.5) / width, (line[i + 1] + 0.5) / height);
    made.closePath();
  }
  return made;
}

function hatched() {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 12;
  const context = tile.getContext('2d');
  context.strokeStyle = B;
  context.lineWidth = 1.4;
  for (const shift of [-12, 0, 12]) { context.moveTo(shift, 12); context.lineTo(shift + 12, 0); }
  context.stroke();
  return tile;
}

function drawStroke(context, edit, frame) {
  context.save();
  context.globalAlpha = 0.45;
  context.strokeStyle = edit.add === false ? '#202020' : A;
  context.lineCap = context.lineJoin = 'round';
  context.lineWidth = 2 * edit.radius * frame.short;
  context.beginPath();
  const points = edit.points ?? [edit.at];
  points.forEach(([x, y], i) => context[i ? 'lineTo' : 'moveTo'](frame.x + x * frame.width, frame.y + y * frame.height));
  if (points.length === 1) context.lineTo(frame.x + points[0][0] * frame.width + 0.01, frame.y + points[0][1] * frame.height);
  context.stroke();
  context.restore();
}

function drawDot(context, edit, frame) {
  const ratio = screenRatio(), [x, y] = [frame.x + edit.at[0] * frame.width, frame.y + edit.at[1] * frame.height], r = 6 * ratio;
  context.beginPath();
  context.arc(x, y, r, 0, 7);
  context.fillStyle = edit.add === false ? '#202020' : A;
  context.fill();
  context.lineWidth = 1.6 * ratio;
  context.strokeStyle = '#fff';
  context.stroke();
  context.beginPath();                       // plus or minus: not by colour alone
  context.moveTo(x - r / 2, y); context.lineTo(x + r / 2, y);
  if (edit.add !== false) { context.moveTo(x, y - r / 2); context.lineTo(x, y + r / 2); }
  context.stroke();
}

function drawBox(context, { from, to }, frame) {
  const box = [frame.x + from[0] * frame.width, frame.y + from[1] * frame.height, (to[0] - from[0]) * frame.width, (to[1] - from[1]) * frame.height];
  for (const [width, colour] of [[3, 'rgba(0,0,0,.5)'], [1.5, A]]) {
    context.lineWidth = width * screenRatio();
    context.strokeStyle = colour;
    context.strokeRect(...box);
  }
}

const pointerOf = ({ pointerAt, cross }, frame) => pointerAt ?? (cross && [frame.x + cross[0] * frame.width, frame.y + cross[1] * frame.height]);

function drawCross(context, state, frame) {
  const ratio = screenRatio(), [x, y] = pointerOf(state, frame);
  context.beginPath();
  for (const side of [-1, 1]) {
    context.moveTo(x + side * 5 * ratio, y); context.lineTo(x + side * 18 * ratio, y);
    context.moveTo(x, y + side * 5 * ratio); context.lineTo(x, y + side * 18 * ratio);
  }
  for (const [width, colour] of [[4, 'rgba(0,0,0,.7)'], [1.6, '#fff']]) {
    context.lineWidth = width * ratio;
    context.strokeStyle = colour;
    context.stroke();
  }
}

function drawRing(context, state, frame) {
  const ratio = screenRatio(), { tool, sizes, view } = state, pointerAt = pointerOf(state, frame);
  context.beginPath();
  context.arc(...pointerAt, (tool === 'circle' ? sizes.circle : sizes[tool] / view.scale) * frame.short, 0, 7);
  context.setLineDash(tool === 'erase' ? [6 * ratio, 5 * ratio] : []);
  for (const [width, colour] of [[2.2, 'rgba(0,0,0,.6)'], [1, '#fff']]) {
    context.lineWidth = width * ratio;
    context.strokeStyle = colour;
    context.stroke();
  }
  context.setLineDash([]);
}
