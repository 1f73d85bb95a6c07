// Where the photo lies in a canvas. One view for all canvases, so that they zoom and move together: a scale, and the
// point of the photo in the middle. Photo coordinates run from 0 to 1 along each side; `size` is a canvas, in pixels; a
// photo's `size` is that of its file, whose shape the view has to within a pixel.

import { clamp, round } from './settings.js';

const CLOSEST = 24;                          // times the whole photo, or what shows its own pixels this large:
const LARGEST_PIXEL = 4;
const ALMOST = 0.2;                          // of a level of tiles: so much too coarse nobody sees, and it is half of what is sent
export const WHOLE = { scale: 1, x: 0.5, y: 0.5 };

export function frameOf(view, photo, size) {
  const [wide, high] = photo.size, fit = Math.min(size.width / wide, size.height / high);
  const width = wide * fit * view.scale, height = high * fit * view.scale;
  const bound = (middle, length, room) => (length <= room ? (room - length) / 2 : clamp(room / 2 - middle * length, room - length, 0));
  return { x: bound(view.x, width, size.width), y: bound(view.y, height, size.height), width, height, short: Math.min(width, height) };
}

// How many pixels of the canvas one of the file takes: 1 is "100 %".
export const enlargement = (view, photo, size) => frameOf(view, photo, size).width / photo.size[0];

// The tiles of the photo at full size (demo/tiles.py) that a canvas shows where it needs more pixels than the view has,
// the middle ones first: level, column and row; their pixels in the file (left, top, width, height); where they lie in
// the canvas, to the pixel (x, y, width, height).
export function tilesOf(view, photo, size, side) {
  const frame = frameOf(view, photo, size), [width, height] = photo.size;
  if (view.scale === 1 || frame.width <= photo.width || width <= photo.width) return [];
  const level = Math.max(0, Math.floor(Math.log2(width / frame.width) + ALMOST)), step = side * 2 ** level;
  const between = (start, long, length, room) => {   // places along a side, first and last in sight
    const cell = step * long / length, last = Math.ceil(length / step) - 1;
    const [from, to] = [Math.floor(-start / cell), Math.ceil((room - start) / cell) - 1].map((at) => clamp(at, 0, last));
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  };
  const edge = (start, long, length, at) => Math.round(start + long * at / length);
  const tiles = between(frame.y, frame.height, height, size.height).flatMap((row) =>
    between(frame.x, frame.width, width, size.width).map((column) => {
      const [left, top] = [column * step, row * step], [right, bottom] = [Math.min(left + step, width), Math.min(top + step, height)];
      const [x, y] = [edge(frame.x, frame.width, width, left), edge(frame.y, frame.height, height, top)];
      return { level, column, row, file: [left, top, right - left, bottom - top],
        at: [x, y, edge(frame.x, frame.width, width, right) - x, edge(frame.y, frame.height, height, bottom) - y] };
    }));
  const away = ({ at: [x, y, wide, high] }) => Math.hypot(x + wide / 2 - size.width / 2, y + high / 2 - size.height / 2);
  return tiles.sort((one, other) => away(one) - away(other));
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
  const closest = Math.max(CLOSEST, LARGEST_PIXEL / enlargement(WHOLE, photo, size));
  const frame = frameOf(view, photo, size), scale = clamp(view.scale * factor, 1, closest), grown = scale / view.scale;
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
