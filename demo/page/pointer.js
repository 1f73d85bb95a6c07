// Hands on the canvases: one finger or button draws (or moves the line, or the photo), two fingers zoom, the wheel too.

import { within } from './geometry.js';
import { clamp } from './settings.js';
import { pixelOf } from './stage.js';
import { hasEnds, strokeOf } from './strokes.js';

export function listenToHands(element, canvases, { store, editing, stage, wipe }) {
  const touches = new Map();                 // where each finger or button is, in pixels
  let panning = null, wiping = false;        // where the hand that moves the photo was; whether it moves the line

  const pans = ({ tool, space, mode }, event) => tool === 'pan' || space || event.button === 1 || mode !== 'select';

  function down(event) {
    const canvas = event.currentTarget, state = store.state, { photo, mode, view } = state;
    if (!photo) return;
    store.set({ cross: null });
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    const at = pixelOf(event, canvas);
    touches.set(event.pointerId, at);
    if (touches.size > 1) { stop(); return; }
    if (mode === 'wipe' && (wipe.near(at[0]) || view.scale === 1)) { wiping = true; wipe.move(at[0] / canvas.width); return; }
    if (pans(state, event)) { panning = at; event.preventDefault(); store.set({ pointerAt: null }); return; }
    store.set({ stroke: strokeOf(state, stage.placeIn(event, canvas), event.button !== 2 && !event.altKey) });
  }
  function stop() {
    panning = null;
    wiping = false;
    store.set({ stroke: null, pointerAt: null });
  }

  function move(event) {
    const canvas = event.currentTarget, { photo, mode, stroke } = store.state;
    if (!photo) return;
    const now = pixelOf(event, canvas), before = touches.get(event.pointerId);
    if (before) touches.set(event.pointerId, now);
    const free = event.pointerType !== 'touch' && mode === 'select' && !panning && touches.size < 2;
    store.set({ pointerAt: free ? now : null });
    if (before && touches.size === 2) {
      const other = [...touches.entries()].find(([id]) => id !== event.pointerId)[1];
      const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
      stage.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2, canvas);
      stage.zoom(apart(now) / Math.max(1, apart(before)), canvas, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else if (wiping) wipe.move(now[0] / canvas.width);
    else if (panning) {
      stage.pan(now[0] - panning[0], now[1] - panning[1], canvas);
      panning = now;
    } else if (stroke) store.set({ stroke: { ...stroke, points: drawn(stroke, event, canvas) } });
  }
  function drawn({ tool, points }, event, canvas) {
    const at = stage.placeIn(event, canvas);
    if (hasEnds(tool)) return [points[0], within(at)];
    if (tool !== 'brush') return [at];
    const all = event.getCoalescedEvents?.() ?? [];
    return all.length ? [...points, ...all.map((each) => stage.placeIn(each, canvas))] : [...points, at];
  }

  function up(event, keep) {
    const { stroke } = store.state;
    touches.delete(event.pointerId);
    panning = null;
    wiping = false;
    store.set({ stroke: null });
    if (stroke && keep) editing.addStroke(stroke);
  }

  function wheel(event) {
    if (!store.state.photo) return;
    event.preventDefault();
    stage.zoom(Math.exp(-clamp(event.deltaY, -300, 300) / 400), event.currentTarget, ...pixelOf(event, event.currentTarget));
  }

  function flip(event, canvas) {             // the whole photo, or its own pixels where the hand is
    if (store.state.view.scale === 1) stage.own(canvas, ...pixelOf(event, canvas));
    else stage.fit();
  }

  for (const canvas of canvases) {
    canvas.addEventListener('pointerdown', down);
    canvas.addEventListener('pointermove', move);
    canvas.addEventListener('pointerup', (event) => up(event, true));
    canvas.addEventListener('pointercancel', (event) => up(event, false));
    canvas.addEventListener('pointerleave', () => store.set({ pointerAt: null }));
    canvas.addEventListener('contextmenu', (event) => event.preventDefault());
    canvas.addEventListener('wheel', wheel, { passive: false });
    canvas.addEventListener('dblclick', (event) => { if (store.state.mode !== 'select' || store.state.tool === 'pan') flip(event, canvas); });
  }
  element.addEventListener('pointerdown', () => { element.querySelector('.rl-app').dataset.by = 'hand'; }, true);
  element.addEventListener('keydown', (event) => { if (event.key === 'Tab') element.querySelector('.rl-app').dataset.by = 'keys'; }, true);
}
