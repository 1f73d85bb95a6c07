// Compare: the photo as it was and under every method, equal in size, zoomed and moved together, one mask, one degree.

const METHODS = ['original', 'global', 'blend', 'concat', 'ranlen'];
const methodLights = new Map();              // by subject and backbone: a light for each method
const words = new Map();                     // by method: what it did, in words
const panes = new Map($$('.rl-compare figure').map((each) => [each.dataset.of, each]));
let methodsSeq = 0, methodsKey = '';

function askMethods() {
  if (!photo || !subject().edits.length || pending) { drawCompare(); return; }
  const key = lightKey(subject());
  methodsKey = key;
  methodsSeq = ask('compare', { recipe: session(), index: current, lights: live() && !methodLights.has(key) });
  if (!methodLights.has(key)) wait(true);
}

watch('methods', async () => {
  const said = answerOf(props.methods);
  answered('compare', said.seq);
  if (said.seq !== methodsSeq) return;
  wait(Boolean(pending));
  if (said.lost) { lost(); return; }
  if (said.error) { toast(said.error); return; }
  const made = {};
  for (const [method, each] of Object.entries(said.methods ?? {})) {
    words.set(method, each.words);
    if (each.light) made[method] = await unpackLight(each.light);
  }
  if (Object.keys(made).length) {
    methodLights.set(methodsKey, made);
    for (const [old, each] of methodLights) {
      if (methodLights.size <= 2) break;
      methodLights.delete(old);
      Object.values(each).forEach(freeLight);
    }
  }
  refresh();
});

// One method after the other through the one `glass`.
function drawCompare() {
  const made = subject().edits.length ? methodLights.get(lightKey(subject())) : null;
  for (const [method, pane] of panes) {
    const canvas = pane.querySelector('canvas'), context = sized(canvas);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!photo) continue;
    let picture = photo.bitmap;
    if (made?.[method] && !holding) {
      shine([[made[method], subject().degree]]);
      drawn = null;
      picture = glass;
    } else if (method === 'ranlen' && !made && !holding) picture = lit();
    paint(context, picture, frameIn(canvas));
    pane.querySelector('ul').replaceChildren(...(method === 'original' ? ['The photo as it was'] : words.get(method) ?? ['…']).map((each) => {
      const item = document.createElement('li');
      item.textContent = each;
      return item;
    }));
  }
  $('.rl-compare').classList.toggle('rl-ready', Boolean(made));
}
