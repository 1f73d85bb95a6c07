// The photo at full size, a tile at a time, as it was and lit: where one looks closer than the view's pixels, they are
// laid over it. Until a tile is there, the view is seen.

import { tilesOf } from './geometry.js';
import { TILE, sameLights } from './light.js';

const MOST_KEPT = 64;                        // of 1 MB each
const AT_ONCE = 4;                           // on their way
const PAUSE = 120;                           // milliseconds that the hand rests before any is asked for
const LATER = 5000;                          // until one that did not come is asked for again
const MOST_LIT = 12;                         // in a frame; where the shader is slow, one

export function createTiles(store, server, renderer, picture, redraw) {
  const kept = new Map();                    // { bitmap, clean: without noise or null, lit: by pane }, by `nameOf`; what was used last, at the end
  const coming = new Map();                  // AbortControllers by name
  const failed = new Map();                  // when, by name
  const late = new Set();                    // panes that some tile lacks
  let wanted = [], pausing = 0;              // what the last frame shows

  const isFailed = (name) => performance.now() - failed.get(name) < LATER;
  const isMissing = (name) => !kept.has(name) && !isFailed(name);
  const nameOf = ({ level, column, row }) => `${level} ${column} ${row}`;

  // Over the view's picture: the photo at full size under a list of [light, subject], empty for the original. `pane` tells
  // apart what is lit differently at a time.
  function cover(context, lights, pane = '') {
    const { photo, view, sliding } = store.state, most = picture.isSlow() ? 1 : MOST_LIT;
    const tiles = renderer.live() ? tilesOf(view, photo, context.canvas, TILE) : [];
    want(tiles);
    const laid = sliding && lights.length && picture.isSlow() ? [] : tiles;
    let made = 0;
    for (const tile of laid) {
      const known = kept.get(nameOf(tile));
      if (!known) continue;
      const place = placed(tile, known.bitmap, photo), meant = lights.filter(([light]) => meet(light.box, place.box));
      known.noisy = !known.clean && meant.some(([, each]) => each.denoise && each.degree);
      const list = known.noisy ? meant.map(([light, each]) => [light, { ...each, denoise: 0 }]) : meant;
      let shown = list.length ? known.lit.get(pane) : { source: known.bitmap, list };
      if (!sameLights(shown?.list, list)) {
        if (made >= most) continue;
        made += 1;
        known.lit.set(pane, shown = { source: lit(known, list, place, shown?.source), list });
      }
      const [x, y, width, height] = tile.at;
      context.imageSmoothingEnabled = width !== known.bitmap.width && width < 3 * known.bitmap.width;
      context.drawImage(shown.source, 0, 0, known.bitmap.width, known.bitmap.height, x, y, width, height);
    }
    if (made >= most) redraw();
    if (laid.some((each) => kept.get(nameOf(each))?.noisy)) fetchMore();
    if (made >= most || tiles.some((each) => isMissing(nameOf(each)) || kept.get(nameOf(each))?.noisy)) late.add(pane);
    else late.delete(pane);
    store.set({ tiling: late.size > 0 });
  }

  // Where a tile's pixels lie in the view, whose cells are those of lights.
  function placed({ file: [left, top, width, height] }, bitmap, photo) {
    const x = photo.width / photo.size[0], y = photo.height / photo.size[1];
    return { first: [left * x, top * y], pace: [width * x / bitmap.width, height * y / bitmap.height], box: [left * x, top * y, width * x, height * y] };
  }
  const meet = (one, other) => [0, 1].every((i) => one[i] < other[i] + other[i + 2] + 1 && other[i] < one[i] + one[i + 2] + 1);

  function lit(tile, list, { first, pace }, canvas = document.createElement('canvas')) {
    const { width, height } = tile.bitmap;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.getContext('2d').drawImage(renderer.renderTile(list, tile, first, pace), 0, 0, width, height, 0, 0, width, height);
    return canvas;
  }

  // What is not in sight any more is not waited for, and its light is worked out again.
  function want(tiles) {
    const names = new Set(tiles.map(nameOf)), before = wanted;
    wanted = tiles;
    if (before.length === tiles.length && before.every((each) => names.has(nameOf(each)))) return;
    for (const [name, control] of coming) if (!names.has(name)) control.abort();
    for (const [name, { lit: pictures }] of kept) if (!names.has(name)) pictures.clear();
    clearTimeout(pausing);
    if (tiles.length) pausing = setTimeout(fetchMore, PAUSE);
  }
  function fetchMore() {
    if (store.state.lost) return;
    for (const each of wanted) {
      const name = nameOf(each);
      if (coming.size >= AT_ONCE) return;
      if (kept.has(name)) {
        kept.set(name, used(name));
        if (kept.get(name).noisy && !coming.has(name) && !isFailed(name)) fetchTile(name, each, true);
      } else if (!coming.has(name) && isMissing(name)) fetchTile(name, each);
    }
  }
  async function fetchTile(name, { level, column: x, row: y }, clean = false) {
    const control = new AbortController(), { photo } = store.state;
    coming.set(name, control);
    const { bitmap, lost } = await server.tile({ level, x, y, clean }, control.signal);
    if (coming.get(name) === control) coming.delete(name);
    if (control.signal.aborted || photo !== store.state.photo) return;
    if (bitmap && clean) addClean(name, bitmap);
    else if (bitmap) keep(name, bitmap);
    else if (lost) store.set({ lost });      // and asked again of the photo that is sent again
    else {
      failed.set(name, performance.now());
      setTimeout(redraw, LATER + 10);
      redraw();
    }
    fetchMore();
  }
  function addClean(name, clean) {           // or it was dropped meanwhile
    if (kept.has(name)) Object.assign(kept.get(name), { clean, noisy: false });
    redraw();
  }
  function close({ bitmap, clean }) {
    bitmap.close();
    clean?.close();
  }
  function used(name) {                      // taken out, to be put at the end
    const tile = kept.get(name);
    kept.delete(name);
    return tile;
  }
  function keep(name, bitmap) {
    kept.set(name, { bitmap, clean: null, noisy: false, lit: new Map() });
    for (const old of [...kept.keys()].slice(0, -Math.max(MOST_KEPT, wanted.length))) close(used(old));
    redraw();
  }

  store.subscribe(['mode', 'alone'], () => { late.clear(); store.set({ tiling: false }); });
  store.subscribe(['photo'], () => {
    coming.forEach((control) => control.abort());
    kept.forEach(close);
    [coming, kept, failed, late].forEach((each) => each.clear());
    wanted = [];
  });
  return { cover };
}
