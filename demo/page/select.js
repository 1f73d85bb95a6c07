// Select: the lit photo, the areas over it, and what the hand is drawing.

import { frameOf } from './geometry.js';
import { areasKey } from './recipe.js';
import { COLOURS } from './settings.js';
import { cleared, paint, screenRatio } from './stage.js';
import { joinOf, lightsOf, subjectOf } from './store.js';

const FAINT = 0.22;                          // areas stand out after an edit, then step back

export function createSelect(store, canvas, picture, tiles, redraw) {
  let strength = 0, fading = 0;
  let last = null;                           // areas of the chosen subject, until newer ones come
  const paths = new WeakMap();               // by areas
  const hatches = new Map();                 // by colour

  function draw(state) {
    const context = cleared(canvas), { photo, recipe, current, stroke } = state, colours = COLOURS[state.colour], [A] = colours;
    if (!photo) return;
    const frame = frameOf(state.view, photo, canvas), alone = state.alone && !state.holding && !state.sliding;
    if (alone) paintMask(context, foundOf(state, subjectOf(state)) ?? last, frame);
    else {
      paint(context, state.holding ? photo.bitmap : picture.lit(), frame, photo);
      tiles.cover(context, state.holding ? [] : lightsOf(state));
    }
    if (state.holding) return;
    if (state.showAreas && !state.sliding && !alone) {
      recipe.subjects.forEach((each, i) => {
        const found = foundOf(state, each) ?? (i === current ? last : null);
        if (found && each.edits.length) drawAreas(context, found, frame, colours, i === current ? strength : 0.25 * strength);
      });
      drawEdits(context, state, frame, A);
    }
    if (state.glance) drawGlance(context, state.glance, frame);
    if (stroke?.tool === 'bounding_box') drawBox(context, { from: stroke.points[0], to: stroke.points[1] }, frame, A);
    if (stroke?.tool === 'gradient') drawGradient(context, { from: stroke.points[0], to: stroke.points[1] }, frame, A);
    if (stroke?.radius) drawStroke(context, stroke, frame, A);
    if (state.cross) drawCross(context, state, frame);
    if (pointerOf(state, frame) && state.sizes[state.tool]) drawRing(context, state, frame);
  }
  const foundOf = (state, subject) => state.marks.get(areasKey(subject));

  function drawEdits(context, state, frame, A) {
    const { edits } = subjectOf(state), answered = (foundOf(state, subjectOf(state)) ?? last)?.edits ?? [];
    for (const edit of edits) if (edit.tool === 'subject') drawDot(context, edit, frame, A);
    for (const edit of state.pending ? edits.filter((each) => !answered.includes(each)) : []) {
      if (edit.radius) drawStroke(context, edit, frame, A);
      if (edit.tool === 'gradient') drawGradient(context, edit, frame, A);
    }
    const frames = edits.filter((edit) => edit.tool === 'bounding_box');
    if (frames.length) drawBox(context, frames[frames.length - 1], frame, A);
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

  function paintMask(context, found, frame) {
    context.fillStyle = '#000';
    context.fillRect(frame.x, frame.y, frame.width, frame.height);
    if (!found) return;
    const [a, b] = pathsIn(frame, found);
    for (const [path, colour] of [[b, '#808080'], [a, '#fff']]) {
      context.fillStyle = colour;
      context.fill(path, 'evenodd');
    }
  }

  function drawAreas(context, found, frame, [A, B], alpha) {
    if (!hatches.has(B)) hatches.set(B, hatched(B));
    const ratio = screenRatio(), [a, b] = pathsIn(frame, found);
    context.save();
    context.globalAlpha = alpha * 0.55;
    const band = new Path2D(b);
    band.addPath(a);
    context.fillStyle = context.createPattern(hatches.get(B), 'repeat');
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

function hatched(colour) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 12;
  const context = tile.getContext('2d');
  context.strokeStyle = colour;
  context.lineWidth = 1.4;
  for (const shift of [-12, 0, 12]) { context.moveTo(shift, 12); context.lineTo(shift + 12, 0); }
  context.stroke();
  return tile;
}

function drawStroke(context, edit, frame, A) {
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

function drawDot(context, edit, frame, A) {
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

// Where it is whole, where it ends, and the way between.
function drawGradient(context, { from, to }, frame, A) {
  const ends = [from, to].map(([x, y]) => [frame.x + x * frame.width, frame.y + y * frame.height]);
  const [[x, y], [endX, endY]] = ends, long = Math.hypot(endX - x, endY - y) || 1, far = Math.hypot(frame.width, frame.height);
  const [across, down] = [(y - endY) / long * far, (endX - x) / long * far];
  context.save();
  context.beginPath();
  context.rect(frame.x, frame.y, frame.width, frame.height);
  context.clip();
  for (const [width, colour] of [[3, 'rgba(0,0,0,.5)'], [1.5, A]]) {
    context.lineWidth = width * screenRatio();
    context.strokeStyle = colour;
    for (const [dash, lines] of [[[], [[x - across, y - down, x + across, y + down]]], [[6, 5], [[x, y, endX, endY], [endX - across, endY - down, endX + across, endY + down]]]]) {
      context.setLineDash(dash.map((each) => each * screenRatio()));
      context.beginPath();
      for (const [fromX, fromY, toX, toY] of lines) { context.moveTo(fromX, fromY); context.lineTo(toX, toY); }
      context.stroke();
    }
  }
  context.restore();
}

function drawBox(context, { from, to }, frame, A) {
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
  context.setLineDash({ true: [], false: [6 * ratio, 5 * ratio], intersect: [2 * ratio, 4 * ratio] }[joinOf(state)]);
  for (const [width, colour] of [[2.2, 'rgba(0,0,0,.6)'], [1, '#fff']]) {
    context.lineWidth = width * ratio;
    context.strokeStyle = colour;
    context.stroke();
  }
  context.setLineDash([]);
}
