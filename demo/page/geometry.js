// Where the photo lies in a canvas. One view for all canvases, so that they zoom and move together: a scale, and the
// point of the photo in the middle. Photo coordinates run from 0 to 1 along each side; `size` is a canvas, in pixels.

import { clamp, round } from './settings.js';

const CLOSEST = 24;
export const WHOLE = { scale: 1, x: 0.5, y: 0.5 };

export function frameOf(view, photo, size) {
  const fit = Math.min(size.width / photo.width, size.height / photo.height);
  const width = photo.width * fit * view.scale, height = photo.height * fit * view.scale;
  const bound = (middle, length, room) => (length <= room ? (room - length) / 2 : clamp(room / 2 - middle * length, room - length, 0));
  return { x: bound(view.x, width, size.width), y: bound(view.y, height, size.height), width, height, short: Math.min(width, height) };
}

export const placeOf = ([x, y], frame) => [round((x - frame.x) / frame.width), round((y - frame.y) / frame.height)];
export const within = (point) => point.map((value) => clamp(value, 0, 1));
export const inside = ([x, y]) => x >= 0 && x <= 1 && y >= 0 && y <= 1;

function settled(view, photo, size) {        // the middle as it is shown, after the photo met an edge
  const frame = frameOf(view, photo, size);
  return { scale: view.scale, x: (size.width / 2 - frame.x) / frame.width, y: (size.height / 2 - frame.y) / frame.height };
}

// Nearer by a factor, around a point of the canvas.
export function zoomed(view, photo, size, factor, x = size.width / 2, y = size.height / 2) {
  const frame = frameOf(view, photo, size), scale = clamp(view.scale * factor, 1, CLOSEST), grown = scale / view.scale;
  return settled({
    scale,
    x: (x - frame.x) / frame.width + (size.width / 2 - x) / (frame.width * grown),
    y: (y - frame.y) / frame.height + (size.height / 2 - y) / (frame.height * grown),
  }, photo, size);
}

export function panned(view, photo, size, dx, dy) {
  const frame = frameOf(view, photo, size);
  return settled({ scale: view.scale, x: view.x - dx / frame.width, y: view.y - dy / frame.height }, photo, size);
}

// The fewest points of a stroke that stay within a twelfth of the brush (Douglas and Peucker).
export function thinned(points, radius, photo) {
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
