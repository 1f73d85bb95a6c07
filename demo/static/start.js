// Once, when the page is there.

$('.rl-finder').textContent = `Subjects are found by ${props.finder}.`;
$('.rl-networks').append(...JSON.parse(props.networks || '[]').map(([title, name]) => {
  const button = document.createElement('button');
  Object.assign(button, { type: 'button', textContent: title });
  button.dataset.backbone = name;
  return button;
}));
new ResizeObserver(render).observe($('.rl-stage'));
document.addEventListener('fullscreenchange', render);
glass.addEventListener('webglcontextlost', (event) => { event.preventDefault(); able = false; changed(); });
refresh();

// What a test may ask: the pixels of the lit photo at its own size, and where on the screen a place of it lies.
element.ranlen = {
  pixels() {
    const copy = document.createElement('canvas');
    Object.assign(copy, { width: photo.width, height: photo.height });
    const context = copy.getContext('2d', { willReadFrequently: true });
    context.drawImage(lit(), 0, 0);
    return context.getImageData(0, 0, photo.width, photo.height).data;
  },
  place(x, y) {
    const box = main.getBoundingClientRect(), f = frameIn(main), ratio = main.width / box.width;
    return [box.left + (f.x + x * f.width) / ratio, box.top + (f.y + y * f.height) / ratio];
  },
  session,
};
element.classList.add('rl-there');
