// The panel and the bars: what each button does, and how everything looks for the state there is.

const PRESETS = {
  subtle: { degree: 0.6, transition: 0.15, grow: null },
  portrait: { degree: 0.9, transition: 0.08, grow: null },
  spotlight: { degree: 1.3, transition: 0.2, grow: 'out' },
  rescue: { degree: 1.7, transition: 0.1, grow: null },
};
let sliding = false;                         // a slider is being moved: the areas are hidden
const dragging = () => sliding;

const actions = {
  undo, redo, fit, help: () => toggleHelp(), open: () => $('.rl-file').click(),
  clear: () => { if (subject().edits.length) setSubject({ edits: [] }); },
  areas: () => { showAreas = !showAreas; refresh(); },
  in: () => zoom(1.5, stageCanvas()), out: () => zoom(1 / 1.5, stageCanvas()),
  full: () => (document.fullscreenElement ? document.exitFullscreen() : $('.rl-stage').requestFullscreen?.()),
  smaller: () => addEdit({ tool: 'part', larger: false }), larger: () => addEdit({ tool: 'part', larger: true }),
  invert: () => addEdit({ tool: 'invert' }), fill: () => addEdit({ tool: 'fill' }),
  grow: () => addEdit({ tool: 'grow', by: 0.01 }), shrink: () => addEdit({ tool: 'grow', by: -0.01 }),
  more: () => $('.rl-app').classList.toggle('rl-sheet'),
  add: addSubject, remove: removeSubject,
  save: () => save('photo'), savemask: () => save('mask'), savesession: () => saveSession(),
  loadmask: () => $('.rl-maskfile').click(), loadsession: () => $('.rl-sessionfile').click(),
};
const stageCanvas = () => (mode === 'compare' ? $('.rl-compare canvas') : main);

element.addEventListener('click', (event) => {
  const data = event.target.closest('button')?.dataset;
  if (!data) return;
  if (data.tool) { pick(data.tool); if (mode !== 'select') show('select'); }
  if (data.act) actions[data.act]?.();
  if (data.view) show(data.view);
  if (data.preset) setSubject(PRESETS[data.preset]);
  if (data.grow !== undefined) setSubject({ grow: data.grow || null });
  if (data.backbone) commit({ ...recipe, backbone: data.backbone });
  if (data.subject) { current = Number(data.subject); lastFound = null; refresh(); flash(); if (mode === 'compare') askMethods(); }
  if (data.what) $(`#rl-${data.what}`).toggleAttribute('hidden');
});

function pick(name) { tool = name; refresh(); }
function resize(value) { if (sizes[tool]) sizes[tool] = clamp(value, MIN, MAX); refresh(); }
function hold(on) { if (holding !== on) { holding = on; render(); } }
function show(name) {
  if (!photo || mode === name) return;
  mode = name;
  pointerAt = null;
  refresh();
  if (mode === 'compare') askMethods();
}

// Sliders: live while they move; one step of the history each; the areas step back meanwhile.
const SLIDERS = { degree: 1, transition: 100 };  // what is shown for a value of 1
for (const [name, scale] of Object.entries(SLIDERS)) {
  const [range, number] = ['range', 'number'].map((type) => $(`input[type=${type}][data-of=${name}]`));
  range.addEventListener('input', () => { slide(true); setSubject({ [name]: round(range.value / scale) }, name); });
  for (const end of ['change', 'pointerup', 'pointercancel']) range.addEventListener(end, () => { endMerge(); slide(false); });
  range.addEventListener('keydown', (event) => {  // fine steps with the arrows, coarse ones with Shift
    const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!way || !event.shiftKey) return;
    event.preventDefault();
    range.value = Number(range.value) + way * 10 * range.step;
    range.dispatchEvent(new Event('input'));
    range.dispatchEvent(new Event('change'));
  });
  range.addEventListener('dblclick', () => setSubject({ [name]: blankSubject()[name] }));
  number.addEventListener('change', () => {
    const value = Number(number.value);
    if (number.value !== '' && Number.isFinite(value)) setSubject({ [name]: round(clamp(value, range.min, range.max) / scale) });
    refresh();
    number.value = round(subject()[name] * scale, 2);
  });
}
function slide(on) {
  if (sliding === on) return;
  sliding = on;
  $('.rl-app').classList.toggle('rl-sliding', on);
  if (!on) { if (!pending) settle(); learnt('degree'); if (mode === 'compare') askMethods(); }
  render();
}

$('[data-size]').addEventListener('input', (event) => resize(MIN * (MAX / MIN) ** (event.target.value / 100)));
for (const button of $$('[data-hold]')) {
  button.addEventListener('pointerdown', () => hold(true));
  for (const name of ['pointerup', 'pointerleave', 'blur']) button.addEventListener(name, () => hold(false));
}

// --- what is seen -----------------------------------------------------------------------------------------------------

let asked = false;
function render() {                          // at most once a frame
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; paintNow(); });
}
function paintNow() {
  if (mode === 'compare' && photo) drawCompare();
  else if (mode === 'wipe') drawWipe();
  else drawSelect();
  const percent = photo ? Math.round(100 * view.scale) : 100;
  $('.rl-percent').textContent = `${percent} %`;
}

const press = (button, on) => button.setAttribute('aria-pressed', String(on));
function refresh() {
  const app = $('.rl-app'), each = subject();
  app.dataset.view = photo ? mode : 'empty';
  app.dataset.using = tool;
  $$('[data-tool]').forEach((button) => press(button, button.dataset.tool === tool && mode === 'select'));
  $$('button[data-view]').forEach((button) => { button.setAttribute('aria-selected', String(button.dataset.view === mode)); button.disabled = !photo; });
  $$('[data-grow]').forEach((button) => press(button, button.dataset.grow === (each.grow ?? '')));
  $$('[data-backbone]').forEach((button) => press(button, button.dataset.backbone === recipe.backbone));
  $$('[data-preset]').forEach((button) => press(button, Object.entries(PRESETS[button.dataset.preset]).every(([name, value]) => each[name] === value)));
  $$('[data-act=areas]').forEach((button) => press(button, showAreas));
  for (const [act, off] of Object.entries({
    undo: !past.length, redo: !future.length, clear: !each.edits.length, save: !marked(), savemask: !each.edits.length,
    savesession: !marked(), invert: !each.edits.length, grow: !each.edits.length, shrink: !each.edits.length, fill: !each.edits.length,
    loadmask: !photo, add: !photo || recipe.subjects.length >= MOST_SUBJECTS || !each.edits.length,
  })) $$(`[data-act=${act}]`).forEach((button) => { button.disabled = off; });
  for (const [name, scale] of Object.entries(SLIDERS)) {
    const [range, number] = ['range', 'number'].map((type) => $(`input[type=${type}][data-of=${name}]`));
    range.value = each[name] * scale;
    range.style.setProperty('--full', `${100 * (range.value - range.min) / (range.max - range.min)}%`);
    if (document.activeElement !== number) number.value = round(each[name] * scale, 2);
    range.disabled = number.disabled = !photo;
  }
  const size = $('[data-size]');
  $('.rl-size').hidden = !sizes[tool] || mode !== 'select';
  if (sizes[tool]) size.value = 100 * Math.log(sizes[tool] / MIN) / Math.log(MAX / MIN);
  $('.rl-parts').hidden = mode !== 'select' || Boolean(sizes[tool]) || tool === 'pan' ||
    !each.edits.some((edit) => edit.tool === 'frame' || (edit.tool === 'subject' && edit.add !== false));
  $('.rl-subjects').replaceChildren(...recipe.subjects.map((one, i) => {
    const button = document.createElement('button');
    Object.assign(button, { type: 'button', textContent: String(i + 1), title: `Subject ${i + 1}` });
    button.dataset.subject = i;
    button.setAttribute('aria-label', `Subject ${i + 1}${one.edits.length ? '' : ', not marked yet'}`);
    press(button, i === current);
    return button;
  }));
  $('[data-act=remove]').disabled = recipe.subjects.length < 2;
  const found = marks.get(keyOf(each));
  $('.rl-shares').textContent = found && each.edits.length ? 'Area A {0} · B {1} · C {2}'.replace(/{(\d)}/g, (_, i) => `${Math.round(100 * found.shares[i])} %`) : '';
  main.style.cursor = !photo ? 'default' : mode === 'wipe' ? 'ew-resize' : tool === 'pan' || space ? 'grab' : sizes[tool] ? 'none' : 'crosshair';
  main.setAttribute('aria-label', photo ? `${photo.name}. ${nextStep() || 'Lit.'}` : 'No photo yet');
  hint(nextStep());
  render();
}

// The one line that says what to do now; each is said until it was done once.
const known = new Set();
function learnt(what) { known.add(what); refresh(); }
function nextStep() {
  if (working) return working;
  if (!photo || mode !== 'select') return '';
  if (!subject().edits.length) return tool === 'other' ? 'First click the subject itself' : { subject: 'Click the subject', frame: 'Drag a box around the subject', click: 'Click to mark a circle', brush: 'Paint over the subject', erase: 'Nothing to erase yet', pan: 'Drag to move the photo' }[tool];
  if (pending) return '';
  if (!known.has('degree')) return 'Move Degree for more or less light';
  return '';
}
function hint(text) { $('.rl-hint').textContent = text; }

let toasting = 0;
function toast(text, good = false) {
  const bread = $('.rl-toast');
  bread.textContent = text;
  bread.classList.toggle('rl-good', good);
  bread.hidden = false;
  clearTimeout(toasting);
  toasting = setTimeout(() => { bread.hidden = true; }, 5000 + 40 * text.length);
}
