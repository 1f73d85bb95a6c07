// Files in and out: a photo by button, drop or paste; masks; sessions; results.

let opening = 0, savingSeq = 0, maskSeq = 0;

async function sendFile(file) {
  const limit = 100 * 2 ** 20;
  if (file.size > limit) throw new Error(`${file.name} has ${Math.round(file.size / 2 ** 20)} MB; at most 100 MB can be opened.`);
  const { path } = await upload(file);
  return path;
}

async function openFile(file) {
  if (!file) return;
  if (/\.json$/i.test(file.name)) { openSession(file); return; }
  wait(true);
  hint('Opening…');
  try { opening = ask('open', { path: await sendFile(file) }); }
  catch (error) { wait(false); refresh(); toast(error.message || 'The photo could not be sent.'); }
}
function openExample(name) { wait(true); opening = ask('open', { example: name }); }

watch('photo', async () => {
  const said = answerOf(props.photo);
  const bitmap = said.png && said.seq === opening ? await bitmapOf(said.png) : null;
  answered('open', said.seq);
  if (said.seq !== opening) return;
  wait(false);
  if (said.error) { toast(said.error); refresh(); return; }
  forget();
  next.delete('edit');
  answered('edit', busy.get('edit')?.seq);   // which the server has dropped for the new photo
  for (const made of methodLights.values()) Object.values(made).forEach(freeLight);
  methodLights.clear();
  words.clear();
  Object.assign(view, { scale: 1, x: 0.5, y: 0.5 });
  photo = { key: said.key, bitmap, width: bitmap.width, height: bitmap.height, name: said.name, size: said.size };
  drawn = lastFound = null;
  desk.width = 0;
  showPhoto(bitmap);
  recipe = said.recipe ? adopt(said.recipe) : blank();
  current = 0;
  past = []; future = []; merging = '';
  mode = 'select';
  $('.rl-name').textContent = `${photo.name} · ${photo.size[0]} × ${photo.size[1]}`;
  changed();
});

function download(href, name) {
  const link = document.createElement('a');
  Object.assign(link, { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}
const stem = () => photo.name.replace(/\.[^.]*$/, '');

function save(what) {
  if (!marked()) return;
  $('.rl-app').classList.add('rl-saving');
  savingSeq = ask('save', { recipe: session(), what, index: current, format: $('[data-format]').value });
}
watch('saved', () => {
  const said = answerOf(props.saved);
  if (said.step) {
    if (said.seq === savingSeq) progress(`${said.step}…`, said.share, 1.5);
    return;
  }
  answered('save', said.seq);
  if (said.seq !== savingSeq) return;
  $('.rl-app').classList.remove('rl-saving');
  progress();
  if (said.error) { toast(said.error); return; }
  download(address(`file=${said.path}`), said.name);
  toast(`Saved ${said.name} (${(said.bytes / 2 ** 20).toFixed(1)} MB)`, true);
});

function saveSession() {
  const url = URL.createObjectURL(new Blob([JSON.stringify(session(), null, 1)], { type: 'application/json' }));
  download(url, `${stem()}_session.json`);
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
async function openSession(file) {
  try {
    if (!photo) throw new Error('Open the photo first, then its session.');
    if (file.size > 20 * 2 ** 20) throw new Error('This file is too large to be a session.');
    let data;
    try { data = JSON.parse(await file.text()); } catch { throw new Error('This file is not a saved session.'); }
    commit(adopt(data), 0);
  } catch (error) { toast(error.message); }
}

async function openMask(file) {
  try { maskSeq = ask('loadmask', { path: await sendFile(file) }); } catch (error) { toast(error.message); }
}
watch('mask', () => {
  const said = answerOf(props.mask);
  answered('loadmask', said.seq);
  if (said.seq !== maskSeq) return;
  if (said.error) toast(said.error);
  else setSubject({ edits: [said.edit] });
});

for (const [selector, take] of [['.rl-file', openFile], ['.rl-maskfile', openMask], ['.rl-sessionfile', openSession]]) {
  $(selector).addEventListener('change', (event) => { if (event.target.files[0]) take(event.target.files[0]); event.target.value = ''; });
}
let over = 0;
element.addEventListener('dragenter', (event) => { event.preventDefault(); over += 1; $('.rl-stage').classList.add('rl-drop'); });
element.addEventListener('dragover', (event) => event.preventDefault());
element.addEventListener('dragleave', () => { over -= 1; if (over <= 0) $('.rl-stage').classList.remove('rl-drop'); });
element.addEventListener('drop', (event) => {
  event.preventDefault();
  over = 0;
  $('.rl-stage').classList.remove('rl-drop');
  openFile(event.dataTransfer.files[0]);
});
document.addEventListener('paste', (event) => { if (event.clipboardData.files.length) openFile(event.clipboardData.files[0]); });

for (const { name, src } of JSON.parse(props.examples || '[]')) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'rl-example';
  button.setAttribute('aria-label', `Example: ${name}`);
  button.title = `Open the example ${name}, lit`;
  const image = new Image();
  Object.assign(image, { src, alt: '' });
  button.append(image);
  button.addEventListener('click', () => openExample(name));
  $('.rl-examples').append(button);
}
