// Before and after: one picture, a line between them to drag, the whole original while a button is held.

import { frameOf } from './geometry.js';
import { clamp } from './settings.js';
import { cleared, paint, screenRatio } from './stage.js';
import { lightsOf } from './store.js';

export function createWipe(store, canvas, picture, tiles) {
  const at = () => store.state.split * canvas.width;

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
  const move = (x) => store.set({ split: clamp(x, 0.02, 0.98) });
  return { draw, near, move, canvases: [canvas] };
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
