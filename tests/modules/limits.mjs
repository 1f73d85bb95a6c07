// What the server says of itself, as demo/ui.py does.

import { limitsOf } from '../../demo/page/settings.js';

export const limits = limitsOf({
  settings: { degree: { default: 1, min: 0, max: 2 }, feather: { default: 0.1, found: 0.04, min: 0, max: 1 }, denoise: { default: null, found: null, min: 0, max: 1 } },
  sides: ['out', 'in', 'both'], subjects: 3, recipe: 2, renamed: { tools: { click: 'circle' }, settings: { transition: 'feather', grow: 'feather_side' } },
  finds: ['subject', 'bounding_box', 'part'], backbone: 'first', megabytes: 1,
});
export const stroke = { tool: 'brush', points: [[0.1, 0.2]], radius: 0.05, add: true };
export const prompt = { tool: 'subject', at: [0.5, 0.5], add: true };
