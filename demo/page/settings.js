// What a subject may be set to. The server says it (`limits` in demo/ui.py); here is how the page shows it.

// The settings that have a slider. One table makes what is blank, read and saved, and the sliders. To what the server
// says of each, { default, found: the default of a found subject, min, max }, this adds `scale`, what is shown for 1;
// `step`, of what is shown; `most`, as far as the slider goes where that is not `max`.
const SHOWN = {
  degree: { scale: 1, step: 0.01 },
  feather: { scale: 100, step: 1, most: 0.4 },
  denoise: { scale: 100, step: 1 },
};
export function limitsOf(said) {
  const settings = Object.fromEntries(Object.entries(SHOWN).map(([name, shown]) => {
    const known = said.settings[name];
    return [name, { found: known.default, most: known.max, ...known, ...shown }];
  }));
  return { ...said, settings };
}

// What a subject is set to; where it is left open, what the server says suits the photo.
export const valueOf = (subject, name, photo) => subject[name] ?? photo?.[name] ?? 0;

// What to do first with each tool.
export const HINTS = { subject: 'Click the subject', other: 'First click the subject itself', bounding_box: 'Drag a box around the subject',
  circle: 'Click to mark a circle', brush: 'Paint over the subject', gradient: 'Drag from full light to none', erase: 'Nothing to erase yet',
  pan: 'Drag to move the photo' };

export const PRESETS = {                       // a look is a matter of light: it never changes where the subject ends
  subtle: { degree: 0.6 },
  portrait: { degree: 0.9 },
  spotlight: { degree: 1.3 },
  rescue: { degree: 1.7 },
};

// Of Area A and of the band around it: told apart by who sees no red and green, too; each line has a dark rim besides.
export const COLOURS = {
  orange: ['#ffa028', '#46c8ff'],
  yellow: ['#ffe94a', '#8fb0ff'],
  green: ['#3fe08a', '#ff9ad5'],
  pink: ['#ff7ac6', '#8df0e4'],
  white: ['#ffffff', '#b9c2d0'],
};

export const SMALLEST = 0.005, LARGEST = 0.5;  // circle and brush, in short sides
export const CIRCLE = 2 / 7;                   // the paper's

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
export const round = (value, digits = 4) => Number(value.toFixed(digits));
