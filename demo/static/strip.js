// Four pictures under one mask and one degree; they arrive together, so that they never disagree.
const strip = element.querySelector('.rl-strip');
watch('pictures', () => {
  const pictures = JSON.parse(props.pictures || '{}');
  strip.classList.toggle('rl-full', Object.keys(pictures).length > 0);
  for (const image of strip.querySelectorAll('img')) {
    if (pictures[image.dataset.of]) image.src = pictures[image.dataset.of];
    else image.removeAttribute('src');
  }
});
