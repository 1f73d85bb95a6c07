// The panel and the bars: buttons and sliders do what they say, and look as the state is.

import { areasKey } from './recipe.js';
import { COLOURS, HINTS, LARGEST, PRESETS, SMALLEST, clamp, round, valueOf } from './settings.js';
import { JOINS, canJoin, hasParts, isWaiting, joinOf, partOf, subjectOf } from './store.js';
import { hasEnds } from './strokes.js';

const SIDES = { out: 'Outside', in: 'Inside', both: 'Both' };  // what people call where the feather lies

const ENDS = { bounding_box: ['Enter sets a corner of the box', 'Enter sets the other corner'],
  gradient: ['Enter sets where the light is whole', 'Enter sets where it ends'] };
const AWAY = { true: 'No connection to the server. What you do is kept and sent as soon as it is back.',
  renewed: 'The server has a newer version of this page. Nothing is lost when you load it.' };

export function button(text, data = {}, label = '') {
  const made = Object.assign(document.createElement('button'), { type: 'button', textContent: text });
  Object.assign(made.dataset, data);
  if (label) made.setAttribute('aria-label', label);
  return made;
}
const press = (each, on) => each.setAttribute('aria-pressed', String(on));

export function createPanel({ element, $, $$, store, editing, actions, stage, limits }) {
  const SLOGAN = $('.rl-name').textContent;
  const app = $('.rl-app'), main = $('.rl-main'), settings = Object.entries(limits.settings);
  const learn = (what) => { if (!store.state.learnt.includes(what)) store.set({ learnt: [...store.state.learnt, what] }); };

  // --- what buttons and sliders do ---

  $('.rl-sides-of-edge').append(...limits.sides.map((name) => button(SIDES[name] ?? name, { side: name })));
  const [heads, ...kinds] = limits.kept;
  $('.rl-kept').append(...kinds.map((row) => Object.assign(document.createElement('p'), { textContent: `${row[0]}: ${row.slice(1).map((said, i) => `${heads[i + 1]} ${said}`).join('; ')}.` })));
  $('.rl-colours').append(...Object.entries(COLOURS).map(([name, [a, b]]) => {
    const made = button('', { colour: name }, `Areas in ${name}`);
    made.style.cssText = `--a: ${a}; --b: ${b}`;
    return made;
  }));
  $('.rl-networks').append(...limits.networks.map(([title, name]) => button(title, { backbone: name })));
  $('.rl-finder').textContent = `Subjects are found by ${limits.finder}. Networks run by ${limits.engine}.`;

  element.addEventListener('click', (event) => {
    const data = event.target.closest('button')?.dataset;
    if (!data) return;
    if (data.tool) actions.useTool(data.tool);
    if (data.act) actions.act(data.act);
    if (data.view) actions.show(data.view);
    if (data.preset) actions.preset(data.preset);
    if (data.side !== undefined) editing.setSubject({ feather_side: data.side || null });
    if (data.edges !== undefined) editing.setSubject({ feather_edges: !subjectOf(store.state).feather_edges });
    if (data.backbone) actions.network(data.backbone);
    if (data.join) store.set({ join: JOINS[data.join] });
    if (data.colour) store.set({ colour: data.colour });
    if (data.subject) actions.choose(Number(data.subject));
    if (data.what) event.target.closest('button').setAttribute('aria-expanded', String(!$(`#rl-${data.what}`).toggleAttribute('hidden')));
  });

  // Sliders: live while they move; one step of the history each; the areas step back meanwhile.
  const slide = (sliding) => {
    if (store.state.sliding && !sliding) learn('degree');
    store.set({ sliding });
  };
  const inputs = (name) => ['range', 'number'].map((type) => $(`input[type=${type}][data-of=${name}]`));
  for (const [name, { default: usual, min, most, scale, step }] of settings) {
    const [range, number] = inputs(name);
    for (const each of [range, number]) Object.assign(each, { min: min * scale, max: most * scale, step });
    range.addEventListener('input', () => { slide(true); editing.setSubject({ [name]: round(range.value / scale) }, name); });
    for (const end of ['change', 'pointerup', 'pointercancel']) range.addEventListener(end, () => { editing.endMerge(); slide(false); });
    range.addEventListener('keydown', (event) => {  // fine steps with the arrows, coarse ones with Shift
      const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!way || !event.shiftKey) return;
      event.preventDefault();
      range.value = Number(range.value) + way * 10 * range.step;
      range.dispatchEvent(new Event('input'));
      range.dispatchEvent(new Event('change'));
    });
    range.addEventListener('dblclick', () => editing.setSubject({ [name]: usual }));
    number.addEventListener('change', () => {
      const value = Number(number.value);
      if (number.value !== '' && Number.isFinite(value)) editing.setSubject({ [name]: round(clamp(value / scale, min, most)) });
      number.value = shown(name);
    });
  }
  const shown = (name) => round(valueOf(subjectOf(store.state), name, store.state.photo) * limits.settings[name].scale, 2);

  $('[data-size]').addEventListener('input', (event) => actions.resize(SMALLEST * (LARGEST / SMALLEST) ** (event.target.value / 100)));
  $('[data-format]').addEventListener('change', (event) => store.set({ format: event.target.value }));
  for (const each of $$('[data-hold]')) {
    each.addEventListener('pointerdown', () => actions.hold(true));
    for (const name of ['pointerup', 'pointerleave', 'blur']) each.addEventListener(name, () => actions.hold(false));
  }

  // --- how they look ---

  function refresh(state) {
    const { photo, recipe, current, mode, tool, sizes, marks } = state, subject = subjectOf(state), found = marks.get(areasKey(subject));
    const held = document.activeElement;
    app.dataset.view = photo ? mode : 'empty';
    app.dataset.using = tool;
    $('.rl-name').textContent = photo ? `${photo.name} · ${photo.size[0]} × ${photo.size[1]}` : SLOGAN;
    for (const each of $$('[data-tool]')) press(each, each.dataset.tool === tool && mode === 'select');
    for (const each of $$('button[data-view]')) { each.setAttribute('aria-selected', String(each.dataset.view === mode)); each.disabled = !photo; }
    for (const each of $$(':is(.rl-tools, .rl-rest) :is(button, select)')) each.disabled = !photo;
    for (const each of $$('[data-side]')) press(each, each.dataset.side === (subject.feather_side ?? ''));
    press($('[data-edges]'), subject.feather_edges);
    for (const each of $$('[data-backbone]')) press(each, each.dataset.backbone === recipe.backbone);
    for (const each of $$('[data-preset]')) press(each, Object.entries(PRESETS[each.dataset.preset]).every(([name, value]) => subject[name] === value));
    for (const each of $$('[data-act=areas]')) press(each, state.showAreas);
    press($('[data-act=alone]'), state.alone);
    for (const each of $$('[data-colour]')) press(each, each.dataset.colour === state.colour);
    for (const [act, can] of Object.entries(actions.can)) for (const each of $$(`[data-act=${act}]`)) each.disabled = !can(state);
    for (const [name, { default: usual, min, most, scale }] of settings) {
      const [range, number] = inputs(name);
      range.value = valueOf(subject, name, photo) * scale;
      range.style.setProperty('--usual', (valueOf({ [name]: usual }, name, photo) - min) / (most - min));
      range.style.setProperty('--full', `${100 * (range.value - range.min) / (range.max - range.min)}%`);
      if (document.activeElement !== number) number.value = shown(name);
      range.disabled = number.disabled = !photo;
    }
    $('.rl-how').hidden = !photo || mode !== 'select' || !(sizes[tool] || canJoin(state));
    $('.rl-size').hidden = !sizes[tool];
    for (const each of $$('[data-join]')) {
      each.hidden = !canJoin(state);
      each.disabled = !photo || (each.dataset.join !== '0' && !subject.edits.length);
      press(each, JOINS[each.dataset.join] === joinOf(state));
    }
    if (sizes[tool]) $('[data-size]').value = 100 * Math.log(sizes[tool] / SMALLEST) / Math.log(LARGEST / SMALLEST);
    $('[data-format]').value = state.format;
    $('.rl-parts').hidden = !hasParts(state);
    $('.rl-part').textContent = partOf(state)?.join(' of ') ?? '';
    $('.rl-subjects').replaceChildren(...recipe.subjects.map((one, i) => {
      const chip = button(String(i + 1), { subject: i }, `Subject ${i + 1}${one.edits.length ? '' : ', not marked yet'}`);
      chip.title = `Subject ${i + 1}`;
      chip.disabled = !photo;
      press(chip, i === current);
      return chip;
    }));
    if (held?.disabled && app.contains(held)) (mode === 'compare' ? $('.rl-panes') : main).focus({ preventScroll: true });  // keys go on
    $('.rl-shares').textContent = found && subject.edits.length ? ['Area A', 'B', 'C'].map((name, i) => `${name} ${Math.round(100 * found.shares[i])} %`).join(' · ') : '';
  }

  // The one line that says what to do now, or what is being done; each is said until it was done once.
  function nextStep(state) {
    if (state.working) return state.working.words;
    if (!state.photo || state.mode !== 'select') return '';
    if (state.cross) return hasEnds(state.tool) ? ENDS[state.tool][state.stroke ? 1 : 0] : 'Enter marks this, Shift+Enter takes it away';
    if (!subjectOf(state).edits.length) return HINTS[state.tool];
    return state.pending || state.learnt.includes('degree') ? '' : 'Move Degree for more or less light';
  }
  function hint(state) {
    const text = nextStep(state), { photo, mode, tool, sizes, space } = state;
    $('.rl-hint').textContent = text;
    main.setAttribute('aria-label', photo ? `${photo.name}. ${text || 'Lit.'}` : 'No photo yet');
    main.style.cursor = !photo ? 'default' : mode === 'wipe' ? 'ew-resize' : tool === 'pan' || space ? 'grab' : sizes[tool] ? 'none' : 'crosshair';
  }

  // How far the bar at the bottom goes in how many seconds; where nobody knows, it runs.
  function work({ working }) {
    const bar = $('.rl-busy'), share = working?.share ?? null, known = share !== null;
    if (known && !bar.classList.contains('rl-known')) {
      bar.style.cssText = '--share: 0; --time: 0s';
      bar.classList.add('rl-known');
      void bar.offsetWidth;                  // from the left end
    }
    bar.classList.toggle('rl-known', known);
    bar.style.cssText = `--share: ${share ?? 0}; --time: ${working?.seconds ?? 0}s`;
  }

  // What is so for a while: beside the picture, in nobody's way.
  function tell({ away, unkept, photo }) {
    const text = away ? AWAY[away] : unkept && photo ? `This browser does not keep your work: ${unkept}. Save before you load the page again.` : '';
    $('.rl-state').hidden = !text;
    $('.rl-state span').textContent = text;
    $('[data-act=reload]').hidden = away !== 'renewed';
  }

  let toasting = 0;
  function toast({ notice: { text, good = false } }) {
    const bread = $('.rl-toast');
    bread.textContent = text;
    bread.classList.toggle('rl-good', good);
    bread.hidden = false;
    clearTimeout(toasting);
    toasting = setTimeout(() => { bread.hidden = true; }, 5000 + 40 * text.length);
  }

  const seen = ['photo', 'recipe', 'current', 'past', 'future', 'mode', 'tool', 'sizes', 'join', 'marks', 'showAreas', 'alone', 'colour', 'saving', 'format'];
  store.subscribe(seen, refresh);
  store.subscribe([...seen, 'working', 'pending', 'learnt', 'space', 'cross', 'stroke'], hint);
  store.subscribe(['working'], work);
  store.subscribe(['notice'], toast);
  store.subscribe(['away', 'unkept', 'photo'], tell);
  function percent(state) {
    if (!state.photo) return;
    const enlarged = stage.enlarged();
    $('.rl-percent').textContent = `${Math.round(100 * enlarged)} %`;
    press($('[data-act=fit]'), state.view.scale === 1);
    press($('[data-act=own]'), Math.abs(enlarged - 1) < 1e-3);
    $('[data-act=own]').disabled = !stage.canOwn();
  }
  store.subscribe(['view', 'photo', 'mode'], percent);
  new ResizeObserver(() => percent(store.state)).observe(main);
  for (const [names, name, on] of [
    [['opening', 'pending', 'comparing', 'tiling', 'cleaning'], 'rl-waiting', isWaiting],
    [['saving'], 'rl-saving', (state) => state.saving],
    [['sliding'], 'rl-sliding', (state) => state.sliding],
  ]) store.subscribe(names, (state) => app.classList.toggle(name, on(state)));
  refresh(store.state);
  hint(store.state);
}
