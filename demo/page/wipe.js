// Before and after: one picture, a line between them to drag, the whole original while a button is held.

import { frameOf } from './geometry.js';
import { areasKey } from './recipe.js';
import { clamp } from './settings.js';
import { cleared, paint, screenRatio } from './stage.js';
import { lightsOf, subjectOf } from './store.js';

export function createWipe(store, canvas, picture, tiles) {
  // On the subject, until somebody moves it.
  function place() {
    const { split, photo, view, marks } = store.state, found = marks.get(areasKey(subjectOf(store.state)));
    if (split !== null || !photo || !found?.a.length) return split ?? 0.5;
    const frame = frameOf(view, photo, canvas);
    return clamp((frame.x + middleOf(found) * frame.width) / canvas.width, 0.02, 0.98);
  }
  const at = () => place() * canvas.width;

  function draw(state) {
    const { photo, view, holding } = state;
    const context = cleared(canvas);
    if (!photo) return;
    const frame = frameOf(view, photo, canvas), line = holding ? canvas.width : at();
    paint(context, picture.lit(), frame, photo);
    tiles.cover(context, lightsOf(state));
    context.save();
    context.beginPath();
    context.rect(0, 0, line, canvas.height);
    context.clip();
    paint(context, photo.bitmap, frame, photo);
    tiles.cover(context, [], 'original');
    context.restore();
    if (!holding) drawLine(context, line, canvas.height);
  }

  const near = (x) => Math.abs(x - at()) < 24 * screenRatio();
  const nudge = (by) => move(place() + by);
  const move = (x) => store.set({ split: clamp(x, 0.02, 0.98) });
  store.subscribe(['photo'], () => store.set({ split: null }));
  return { draw, near, place, move, nudge, canvases: [canvas] };
}

// The middle of the box around Area A, from 0 to 1.
function middleOf({ a, size: [, width] }) {
  const all = a.flatMap((line) => line.filter((_, i) => i % 2 === 0));
  return (all.reduce((one, other) => Math.min(one, other)) + all.reduce((one, other) => Math.max(one, other)) + 1) / 2 / width;
}

function drawLine(context, at, height) {
  const ratio = screenRatio(), middle = height / 2;
  context.lineWidth = 4 * ratio;
  context.strokeStyle = 'rgba(0,0,0,.35)';
  context.beginPath();
  context.moveTo(at, 0);
  context.lineTo(at, height);
  context.stroke();
  context.lineWidth = 2 * ratio;
  context.strokeStyle = '#fff';
  context.stroke();
  context.beginPath();
  context.arc(at, middle, 18 * ratio, 0, 7);
  context.fillStyle = 'rgba(20,20,20,.75)';
  context.fill();
  context.stroke();
  context.beginPath();
  for (const side of [-1, 1]) {
    context.moveTo(at + side * 5 * ratio, middle - 5 * ratio);
    context.lineTo(at + side * 10 * ratio, middle);
    context.lineTo(at + side * 5 * ratio, middle + 5 * ratio);
  }
  context.stroke();
}
