// What a hand or a key draws, and the edit that it becomes when it is done.

import { inside, thinned, within } from './geometry.js';
import { round } from './settings.js';
import { joinOf } from './store.js';

export const hasEnds = (tool) => tool === 'bounding_box' || tool === 'gradient';  // drawn from one place to another

export function strokeOf(state, point, add = true) {
  const { tool, sizes, view } = state, adds = add && tool !== 'other' && joinOf(state);
  if (tool === 'subject' || tool === 'other') return { tool: 'subject', points: [point], add: adds };
  if (tool === 'bounding_box') return { tool, points: [within(point), within(point)] };
  if (tool === 'gradient') return { tool, points: [within(point), within(point)], add: adds };
  if (tool === 'circle') return { tool, points: [point], radius: sizes.circle, add: adds };
  return { tool: 'brush', points: [point], radius: round(sizes[tool] / view.scale), add: adds };
}

// What a stroke that is done adds to a subject: nothing beside the photo, undefined for one too small to be meant.
export function editOf({ tool, points, radius, add }, photo) {
  if (tool === 'brush') return { tool, points: thinned(points, radius, photo), radius, add };
  if (tool === 'bounding_box') {
    const [from, to] = points;
    return Math.min(Math.abs(from[0] - to[0]), Math.abs(from[1] - to[1])) > 0.01 ? { tool, from, to } : undefined;
  }
  if (tool === 'gradient') {
    const [from, to] = points;
    return Math.hypot(from[0] - to[0], from[1] - to[1]) > 0.01 ? { tool, from, to, add } : undefined;
  }
  if (!inside(points[0])) return null;
  return tool === 'circle' ? { tool, at: points[0], radius: round(radius), add } : { tool, at: points[0], add };
}
