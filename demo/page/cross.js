// The photo marked without a pointer: arrows move a cross, Enter is the click of the tool in hand, Shift the right button.

import { panned, within } from './geometry.js';
import { round } from './settings.js';
import { screenRatio } from './stage.js';
import { hasEnds, strokeOf } from './strokes.js';

const STEP = 16, FINE = 2;                   // pixels of the screen, without Shift and with it
const MARGIN = 24;                           // likewise: nearer to the canvas's edge, the photo moves along
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function listenToCross(canvas, store, editing, stage) {
  // The middle of what is in sight, until it is somewhere.
  const middle = () => stage.placeAt([canvas.width / 2, canvas.height / 2], canvas);

  function move([x, y], fine) {
    const { cross, view, photo, stroke } = store.state, frame = stage.frameIn(canvas), step = (fine ? FINE : STEP) * screenRatio();
    const [fromX, fromY] = cross ?? middle();
    const at = within(cross ? [fromX + x * step / frame.width, fromY + y * step / frame.height] : [fromX, fromY]).map((value) => round(value, 5));
    const beyond = (place, room) => Math.max(0, place - room + MARGIN * screenRatio()) + Math.min(0, place - MARGIN * screenRatio());
    const [dx, dy] = [beyond(frame.x + at[0] * frame.width, canvas.width), beyond(frame.y + at[1] * frame.height, canvas.height)];
    store.set({
      cross: at, pointerAt: null,
      view: dx || dy ? panned(view, photo, canvas, -dx, -dy) : view,
      stroke: hasEnds(stroke?.tool) ? { ...stroke, points: [stroke.points[0], at] } : stroke,
    });
  }

  // A box or a gradient takes two: one end, then the other.
  function mark(add) {
    const { tool, cross, stroke } = store.state;
    if (!cross || tool === 'pan') { move([0, 0]); return; }
    if (hasEnds(tool) && !stroke) { store.set({ stroke: strokeOf(store.state, cross, add) }); return; }
    editing.addStroke(stroke ?? strokeOf(store.state, cross, add));
    store.set({ stroke: null });
  }

  canvas.addEventListener('keydown', (event) => {
    const { photo, mode } = store.state, way = WAYS[event.key];
    if (!photo || mode !== 'select' || event.ctrlKey || event.metaKey || event.altKey) return;
    if (way) move(way, event.shiftKey);
    else if (event.key === 'Enter') mark(!event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  canvas.addEventListener('blur', () => store.set({ cross: null, ...(store.state.cross ? { stroke: null } : {}) }));
  store.subscribe(['photo', 'mode', 'tool'], () => { if (store.state.cross) store.set({ stroke: null }); });
}
