// Select: the lit photo, the areas over it, and what the hand is drawing.

const main = $('.rl-main');
const A = '#ffa028', B = '#46c8ff';
let strength = 0, fading = 0;                // of the areas: they stand out after an edit, then step back
let stroke = null, pointerAt = null;

// Areas as paths in photo coordinates times 1000: drawn crisp at any zoom.
function outlined(found) {
  const [height, width] = found.size;
  const path = (lines) => {
    const made = new Path2D();
    for (const line of lines) {
      for (let i = 0; i < line.length; i += 2) {
        made[i ? 'lineTo' : 'moveTo'](1000 * (line[i] + 0.5) / width, 1000 * (line[i + 1] + 0.5) / height);
      }
      made.closePath();
    }
    return made;
  };
  return { a: path(found.a), b: path(found.b), shares: found.shares };
}

const hatch = (() => {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 12;
  const context = tile.getContext('2d');
  context.strokeStyle = B;
  context.lineWidth = 1.4;
  for (const shift of [-12, 0, 12]) { context.moveTo(shift, 12); context.lineTo(shift + 12, 0); }
  context.stroke();
  return tile;
})();

function drawSelect() {
  const context = sized(main);
  context.clearRect(0, 0, main.width, main.height);
  if (!photo) return;
  const f = frameIn(main);
  paint(context, holding ? photo.bitmap : lit(), f);
  if (holding) return;
  if (showAreas && !sliding) {
    recipe.subjects.forEach((each, i) => {
      const found = marks.get(keyOf(each)) ?? (i === current ? lastFound : null);
      if (found && each.edits.length) drawAreas(context, found, f, i === current ? strength : 0.25 * strength);
      if (found && i === current) lastFound = found;
    });
    for (const edit of subject().edits) if (edit.tool === 'subject') drawDot(context, edit, f);
    const answered = marks.get(keyOf(subject()))?.edits ?? lastFound?.edits ?? [];
    if (pending) for (const edit of subject().edits) if (edit.radius && !answered.includes(edit)) drawStroke(context, edit, f);
    const frames = subject().edits.filter((edit) => edit.tool === 'frame');
    if (frames.length) drawBox(context, frames[frames.length - 1], f);
  }
  if (stroke?.tool === 'frame') drawBox(context, { from: stroke.points[0], to: stroke.points[1] }, f);
  if (stroke?.radius) drawStroke(context, stroke, f);
  if (pointerAt && sizes[tool] && !panning && touches.size < 2) drawRing(context, f);
}
let lastFound = null;

function drawAreas(context, found, f, alpha) {
  const ratio = devicePixelRatio || 1;
  const scaled = (path) => {
    const made = new Path2D();
    made.addPath(path, new DOMMatrix([f.width / 1000, 0, 0, f.height / 1000, f.x, f.y]));
    return made;
  };
  const a = scaled(found.a), b = scaled(found.b);
  context.save();
  context.globalAlpha = alpha * 0.55;
  const band = new Path2D(b);
  band.addPath(a);
  context.fillStyle = context.createPattern(hatch, 'repeat');
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
    strength = Math.max(0.22, strength - 0.06);
    render();
    if (strength > 0.22) fading = setTimeout(dim, 30);
  };
  fading = setTimeout(dim, 1400);
}

function drawStroke(context, edit, f) {
  context.save();
  context.globalAlpha = 0.45;
  context.strokeStyle = edit.add === false ? '#202020' : A;
  context.lineCap = context.lineJoin = 'round';
  context.lineWidth = 2 * edit.radius * f.short;
  context.beginPath();
  const points = edit.points ?? [edit.at];
  points.forEach(([x, y], i) => context[i ? 'lineTo' : 'moveTo'](f.x + x * f.width, f.y + y * f.height));
  if (points.length === 1) context.lineTo(f.x + points[0][0] * f.width + 0.01, f.y + points[0][1] * f.height);
  context.stroke();
  context.restore();
}

function drawDot(context, edit, f) {
  const ratio = devicePixelRatio || 1, [x, y] = [f.x + edit.at[0] * f.width, f.y + edit.at[1] * f.height], r = 6 * ratio;
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

function drawBox(context, { from, to }, f) {
  const ratio = devicePixelRatio || 1;
  const box = [f.x + from[0] * f.width, f.y + from[1] * f.height, (to[0] - from[0]) * f.width, (to[1] - from[1]) * f.height];
  for (const [width, colour] of [[3, 'rgba(0,0,0,.5)'], [1.5, A]]) {
    context.lineWidth = width * ratio;
    context.strokeStyle = colour;
    context.strokeRect(...box);
  }
}

function drawRing(context, f) {
  const ratio = devicePixelRatio || 1;
  context.beginPath();
  context.arc(pointerAt[0], pointerAt[1], tool === 'click' ? sizes.click * f.short : (sizes[tool] / view.scale) * f.short, 0, 7);
  context.setLineDash(tool === 'erase' ? [6 * ratio, 5 * ratio] : []);
  for (const [width, colour] of [[2.2, 'rgba(0,0,0,.6)'], [1, '#fff']]) {
    context.lineWidth = width * ratio;
    context.strokeStyle = colour;
    context.stroke();
  }
  context.setLineDash([]);
}
