// The light, rendered here: what `ranlen.retouch.render` does, in a shader, at any degree and without a question to
// the server (at most two levels apart; tests/page/test_light.py): of the view, and of tiles of the photo at full size
// (tests/page/test_tiles.py). Without WebGL2 the server renders the view instead.

const SHADER = `
precision highp float;
precision highp int;
precision highp sampler2DArray;
uniform sampler2D photo, clean, attenuation;
uniform sampler2DArray maps;
uniform ivec2 corner;
uniform int height;
uniform vec2 first, pace;
uniform vec4 reach;
uniform vec2 mapRange, attenuationRange;
uniform float degree, denoise, shoulder, desaturation;
out vec4 colour;
const vec3 GREY = vec3(0.2989, 0.587, 0.114);

// In a tile, a pixel lies between cells of a light, which are those of the view.
vec2 placeOf(ivec2 at) {
#ifdef TILE
  return first + (vec2(at) + 0.5) * pace;
#else
  return vec2(at) + 0.5;
#endif
}

vec3 map(ivec2 at, int i) {
#if defined(WHOLE) || defined(TILE)
  return mapRange.x + mapRange.y * texture(maps, vec3((placeOf(at) - reach.xy) / reach.zw, float(i))).rgb;
#else
  return mapRange.x + mapRange.y * texelFetch(maps, ivec3(at - corner, i), 0).rgb;
#endif
}

float openAt(ivec2 at) {
#ifdef TILE
  vec2 cell = placeOf(at) - vec2(corner) - 0.5;   // by hand: a GPU's own filter would leave a 256th of light in Area C
  ivec2 low = ivec2(floor(cell)), last = textureSize(attenuation, 0) - 1;
  vec4 near;
  for (int i = 0; i < 4; i++) near[i] = texelFetch(attenuation, clamp(low + ivec2(i & 1, i >> 1), ivec2(0), last), 0).r;
  vec2 share = cell - vec2(low), rows = mix(near.xz, near.yw, share.x);
  return mix(rows.x, rows.y, share.y);
#else
  return texelFetch(attenuation, at - corner, 0).r;
#endif
}

// Noise goes as light comes, its colours first (ranlen/rendering/noise.py).
vec3 lessNoise(vec3 image, ivec2 at, float logGain) {
  vec3 noise = (exp(texelFetch(clean, at, 0).rgb * log(33.0)) - 1.0) / 32.0 - image;
  float grain = (noise.r + noise.g + noise.b) / 3.0;
  vec2 shares = 1.0 - exp(-denoise * max(logGain, 0.0) * vec2(1.0, 8.0));
  return clamp(image + shares.x * grain + shares.y * (noise - grain), 0.0, 1.0);
}

void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  at.y = height - 1 - at.y;
  at = min(at, textureSize(photo, 0) - 1);
  vec3 image = texelFetch(photo, at, 0).rgb;
#ifdef ATTENUATED
  float open = attenuationRange.x + attenuationRange.y * openAt(at);
#else
  float open = 1.0;
#endif
  float bright = max(image.r, max(image.g, image.b));
  bright *= bright;
  bright *= bright;
#ifdef CURVES
  vec3 curves[CURVES], much = vec3(0.0), slopes = vec3(1.0);
  for (int i = 0; i < CURVES; i++) {
    curves[i] = clamp(degree * map(at, i), -1.0, 1.0);
    much += abs(curves[i]) / (1.01 - abs(curves[i]));
    slopes *= 1.0 - min(open * curves[i], 0.99);
  }
#ifdef CLEAN
  image = lessNoise(image, at, log(slopes.r * slopes.g * slopes.b) / 3.0);
#endif
  vec3 lit = image, share = open * (1.0 - bright * 3.0 / max(much, 3.0));
  for (int i = 0; i < CURVES; i++) lit += curves[i] * share * (lit * lit - lit);
#else
  vec3 gain = clamp(degree * map(at, 0), -8.0, 8.0);
#ifdef CLEAN
  image = lessNoise(image, at, open * (gain.r + gain.g + gain.b) / 3.0);
#endif
  vec3 shut = exp(-shoulder * open * gain * (1.0 - bright * 3.0 / max(abs(gain), 3.0)));
  vec3 lit = image * pow(shut + (1.0 - shut) * pow(image, vec3(shoulder)), vec3(-1.0 / shoulder));
#endif
  float before = dot(GREY, image), after = dot(GREY, lit);
  float lifted = max(1.0 - (before + 1e-4) / (after + 1e-4), 0.0);
  lit += desaturation * lifted * (0.03 / (before + 0.03)) * (after - lit);
#ifdef ONE
  lit = vec3((lit.r + lit.g + lit.b) / 3.0);
#endif
  colour = vec4(lit, 1.0);
}`;

export const TILE = 512;                     // pixels of a side; demo/tiles.py cuts them
const corners = '#version 300 es\nvoid main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0); }';

export const sameLights = (one, other) => one?.length === other.length && other.every(([light, subject], i) =>
  light === one[i][0] && ['degree', 'denoise'].every((name) => subject[name] === one[i][1][name]));

// 12 bits a value, each row as differences, deflated (demo/serialization.py).
const LEVELS = 4095;
async function valuesOf({ size: [height, width, channels], data }) {
  const packed = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer()), count = bytes.length / 2;
  const levels = new Uint16Array(count), values = new Float32Array(count);
  for (let row = 0; row < height; row += 1) {
    const start = row * width * channels;
    for (let i = start; i < start + width * channels; i += 1) {
      levels[i] = (bytes[i] | bytes[count + i] << 8) + (i < start + channels ? 0 : levels[i - channels]);
      values[i] = levels[i] / LEVELS;
    }
  }
  return values;
}

// `canvas` is one that nobody sees; the others draw from it.
export function createRenderer(canvas, onLost) {
  const gl = canvas.getContext('webgl2', { alpha: false, antialias: false, depth: false, preserveDrawingBuffer: true });
  const programs = new Map();                // by what is told apart when it is compiled: { program, at: places of uniforms }
  let original = null, tile = null;          // the photo, and the last tile of it, as `sourceOf` has them
  let drawn = null, around = null;           // the lights in `canvas`; the one that the photo lies around
  let able = Boolean(gl && 'DecompressionStream' in window && compiled('ATTENUATED'));
  const live = () => able && !gl.isContextLost();

  canvas.addEventListener('webglcontextlost', (event) => { event.preventDefault(); able = false; onLost(); });

  function compiled(...told) {
    const key = told.join(' ');
    if (programs.has(key)) return programs.get(key);
    const program = gl.createProgram(), head = ['#version 300 es', ...told.filter(Boolean).map((each) => `#define ${each}`), ''].join('\n');
    for (const [kind, source] of [[gl.VERTEX_SHADER, corners], [gl.FRAGMENT_SHADER, head + SHADER]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    const at = new Proxy({}, { get: (known, name) => (known[name] ??= gl.getUniformLocation(program, name)) });
    programs.set(key, gl.getProgramParameter(program, gl.LINK_STATUS) ? { program, at } : null);
    return programs.get(key);
  }

  function texture(target, filter) {
    const made = gl.createTexture();
    gl.bindTexture(target, made);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(target, side, gl.CLAMP_TO_EDGE);
    for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(target, side, filter);
    return made;
  }

  // Pixels to light: a texture, and a buffer around it; perhaps a texture of them without noise, in a scale that is fine in
  // the dark (`dark_png` of demo/serialization.py). A tile says where its first pixel lies in the view, and how far apart
  // there its pixels are.
  function sourceOf(bitmap, first = null, pace = null) {
    const made = { texture: textureOf(bitmap), clean: null, buffer: gl.createFramebuffer(), width: bitmap.width, height: bitmap.height, first, pace };
    gl.bindFramebuffer(gl.FRAMEBUFFER, made.buffer);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, made.texture, 0);
    return made;
  }
  function textureOf(bitmap) {
    const made = texture(gl.TEXTURE_2D, gl.NEAREST);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    return made;
  }
  function freeSource(source) {
    gl.deleteTexture(source?.texture ?? null);
    gl.deleteTexture(source?.clean ?? null);
    gl.deleteFramebuffer(source?.buffer ?? null);
  }

  // The view lies in the canvas's upper left corner; a tile, too, has room there.
  function showPhoto(bitmap) {
    canvas.width = Math.max(bitmap.width, TILE);
    canvas.height = Math.max(bitmap.height, TILE);
    drawn = around = null;
    if (!live()) return;
    [original, tile].forEach(freeSource);
    [original, tile] = [sourceOf(bitmap), null];
    gl.blendEquation(gl.MAX);
  }

  function showClean(bitmap) {
    if (!live() || !original) return;
    gl.deleteTexture(original.clean);
    original.clean = bitmap && textureOf(bitmap);
    drawn = null;
  }

  // A light as the server sends it, ready to be rendered; whoever has it frees it.
  async function unpack(packed, photo) {
    if (!live()) return {};
    const [values, attenuation] = await Promise.all([valuesOf(packed.maps), packed.attenuation && valuesOf(packed.attenuation)]);
    const [rows, width] = packed.maps.size, height = rows / packed.steps;
    const light = { ...packed, reach: packed.whole ? [0, 0, photo.width, photo.height] : packed.box };
    light.maps = texture(gl.TEXTURE_2D_ARRAY, gl.LINEAR);
    gl.texImage3D(gl.TEXTURE_2D_ARRAY, 0, gl.RGB16F, width, height, packed.steps, 0, gl.RGB, gl.FLOAT, values);
    light.mapRange = [packed.maps.low, packed.maps.high - packed.maps.low];
    if (attenuation) {
      light.attenuation = texture(gl.TEXTURE_2D, gl.LINEAR);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R16F, packed.attenuation.size[1], packed.attenuation.size[0], 0, gl.RED, gl.FLOAT, attenuation);
      light.attenuationRange = [packed.attenuation.low, packed.attenuation.high - packed.attenuation.low];
    }
    return light;
  }
  function free(light) {
    if (!gl) return;
    gl.deleteTexture(light.maps ?? null);
    gl.deleteTexture(light.attenuation ?? null);
  }

  // The photo under a list of [light, subject], in `canvas`; where lights meet, the brighter one counts. Only where there
  // is light is anything worked out; what lies around a single one is copied once.
  function renderLights(list) {
    if (sameLights(drawn, list)) return canvas;
    const alone = list.length === 1 ? list[0][0] : null;
    renderSource(original, list, Boolean(alone) && around === alone);
    around = alone;
    drawn = list;
    return canvas;
  }
  // Likewise a tile, in its place.
  function renderTile(list, { bitmap, clean }, first, pace) {
    freeSource(tile);
    tile = sourceOf(bitmap, first, pace);
    if (clean) tile.clean = textureOf(clean);
    renderSource(tile, list, false);
    drawn = around = null;
    return canvas;
  }
  function renderSource(source, list, copied) {
    if (!copied) copyPixels(source);
    if (list.length > 1) gl.enable(gl.BLEND);
    for (const [light, subject] of list) renderLight(source, light, subject);
    gl.disable(gl.BLEND);
  }
  // With the last column and row once more, where there is room: whoever enlarges the picture reads across its edge.
  function copyPixels({ buffer, width, height }) {
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, buffer);
    gl.bindFramebuffer(gl.DRAW_FRAMEBUFFER, null);
    for (const [right, lower] of [[0, 0], [1, 0], [0, 1], [1, 1]]) {
      const from = [right && width - 1, lower && height - 1], x = right * width, y = canvas.height - lower * height;
      gl.blitFramebuffer(...from, width, height, x, y, x + width - from[0], y - height + from[1], gl.COLOR_BUFFER_BIT, gl.NEAREST);  // our first row is the screen's last
    }
  }
  function renderLight(source, light, { degree, denoise }) {
    const quiet = source.clean && denoise > 0;
    const { program, at } = compiled(source.pace && 'TILE', quiet && 'CLEAN', light.attenuation && 'ATTENUATED', light.whole && 'WHOLE', light.grey && 'ONE', light.kind === 'curves' && `CURVES ${light.steps}`);
    const [left, top, width, height] = source.pace ? [0, 0, source.width, source.height] : light.box;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.enable(gl.SCISSOR_TEST);
    const further = [left + width === source.width, top + height === source.height].map(Number);
    gl.scissor(left, canvas.height - top - height - further[1], width + further[0], height + further[1]);
    gl.useProgram(program);
    [[gl.TEXTURE_2D, source.texture], [gl.TEXTURE_2D, light.attenuation ?? source.texture], [gl.TEXTURE_2D_ARRAY, light.maps], [gl.TEXTURE_2D, source.clean ?? source.texture]].forEach(([target, each], unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(target, each);
    });
    gl.activeTexture(gl.TEXTURE0);
    gl.uniform1i(at.photo, 0);
    gl.uniform1i(at.attenuation, 1);
    gl.uniform1i(at.maps, 2);
    gl.uniform1i(at.clean, 3);
    gl.uniform2i(at.corner, light.box[0], light.box[1]);
    gl.uniform1i(at.height, canvas.height);
    if (source.pace) {
      gl.uniform2f(at.first, ...source.first);
      gl.uniform2f(at.pace, ...source.pace);
    }
    gl.uniform4f(at.reach, ...light.reach);
    gl.uniform2f(at.mapRange, ...light.mapRange);
    gl.uniform2f(at.attenuationRange, ...(light.attenuationRange ?? [0, 0]));
    gl.uniform1f(at.degree, degree);
    gl.uniform1f(at.denoise, denoise);
    gl.uniform1f(at.shoulder, light.shoulder);
    gl.uniform1f(at.desaturation, light.desaturation);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.disable(gl.SCISSOR_TEST);
  }
  // How many milliseconds the lights take; waits for the result.
  function clock(list) {
    const start = performance.now();
    drawn = null;
    renderLights(list);
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    return performance.now() - start;
  }

  return { canvas, live, showPhoto, showClean, unpack, free, renderLights, renderTile, clock };
}
