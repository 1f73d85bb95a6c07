// Keys, while the focus is in the editor and not in a field. The list that `?` shows is made of this one.

const KEYS = [
  ['S', 'Click the subject', () => pick('subject')],
  ['N', 'Click what is not part of it', () => pick('other')],
  ['R', 'Box around the subject', () => pick('frame')],
  ['C', 'Circle', () => pick('click')],
  ['B', 'Brush', () => pick('brush')],
  ['E', 'Erase', () => pick('erase')],
  ['H', 'Move the photo', () => pick('pan')],
  ['X', 'Swap subject and not this, or brush and erase', () => pick({ subject: 'other', other: 'subject', brush: 'erase', erase: 'brush' }[tool] ?? tool)],
  ['[', 'Smaller brush or circle', () => resize(sizes[tool] / 1.2)],
  [']', 'Larger brush or circle', () => resize(sizes[tool] * 1.2)],
  ['-', 'A smaller part of the subject', () => { if (!$('.rl-parts').hidden) actions.smaller(); }],
  ['+', 'A larger part of the subject', () => { if (!$('.rl-parts').hidden) actions.larger(); }],
  ['I', 'Invert the mask', () => { if (subject().edits.length) actions.invert(); }],
  ['O', 'Show or hide the areas', () => actions.areas()],
  ['←', 'A little less light', () => nudge(-0.01)],
  ['→', 'A little more light', () => nudge(0.01)],
  ['1', 'Select', () => show('select')],
  ['2', 'Before and after', () => show('wipe')],
  ['3', 'Compare', () => show('compare')],
  ['\\', 'Hold: the photo as it was', () => hold(true)],
  ['0', 'Whole photo', () => fit()],
  ['F', 'Full screen', () => actions.full()],
  ['?', 'This list', () => toggleHelp()],
];
const ALSO = [['Ctrl Z', 'Undo'], ['Ctrl ⇧ Z', 'Redo'], ['Space', 'Hold and drag: move the photo'], ['Wheel', 'Zoom'],
  ['Right button, Alt', 'Not this; erase']];
const aliases = { '=': '+', arrowleft: '←', arrowright: '→' };

function nudge(by) {
  if (!photo || !marked()) return;
  setSubject({ degree: round(clamp(subject().degree + by, 0, 2)) }, 'nudge');
  settle(250);
}

function toggleHelp(on = $('.rl-help').hidden) {
  $('.rl-help').hidden = !on;
  if (on) $('.rl-help button').focus();
}

element.addEventListener('keydown', (event) => {
  const key = event.key.toLowerCase(), command = event.ctrlKey || event.metaKey, typing = event.target.matches('input, select');
  if (key === 'escape') { toggleHelp(false); $('.rl-app').classList.remove('rl-sheet'); return; }
  if (typing && !(command && event.target.type === 'range')) return;
  if (command) {
    if (key === 'z') (event.shiftKey ? redo : undo)();
    else if (key === 'y') redo();
    else return;
    event.preventDefault();
    return;
  }
  if (key === ' ') {
    if (event.target.tagName !== 'CANVAS') return;
    space = true;
    main.style.cursor = 'grab';
    event.preventDefault();
    return;
  }
  const known = KEYS.find(([name]) => name.toLowerCase() === (aliases[key] ?? key));
  if (!known || event.altKey) return;
  if (mode === 'wipe' && (key === 'arrowleft' || key === 'arrowright')) moveSplit(split + (key === 'arrowleft' ? -0.02 : 0.02));
  else known[2]();
  event.preventDefault();
});
element.addEventListener('keyup', (event) => {
  if (event.key === '\\') hold(false);
  if (event.key === ' ') { space = false; refresh(); }
});

$('.rl-keys').append(...[...KEYS, ...ALSO].map(([name, what]) => {
  const row = document.createElement('div'), key = document.createElement('kbd');
  key.textContent = name;
  row.append(key, what);
  return row;
}));
