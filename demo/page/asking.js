// A question that must be answered before something goes on.

// `ask(words, choices)` gives the name of the choice that is taken, '' for none; the last one is the careful one.
export const createAsking = (dialog) => (words, choices) => new Promise((done) => {
  dialog.querySelector('p').textContent = words;
  dialog.querySelector('form').replaceChildren(...Object.entries(choices).map(([value, text]) => Object.assign(document.createElement('button'), { value, textContent: text })));
  dialog.returnValue = '';
  dialog.onclose = () => done(dialog.returnValue);
  dialog.showModal();
  dialog.querySelector('form').lastChild.focus();
});
