// Gradio's queue by plain requests. Gradio's own client takes a broken connection for the end of the page: it loads it
// anew, and what was asked is gone. Here, who asks is told so and can ask again.
//
//   ask(kind, data, tell)          tell(answer) for each answer (demo/handlers.py), then tell({ ended: true }); before that it
//                                  may be tell({ error }), in words, or tell({ broken: true }), no connection
//   drop(event)                    nobody waits for it any more; `event` is what `ask` gives
//   upload(file, tell, signal)     its path on the server; tell({ share, seconds }) of what is sent and how long the rest takes
//   download(path, tell)           what lies there, likewise
//   stay(tell)                     be there: tell(true) when the server is reached, tell(false) when it is not, for good
//
// `questions` are Gradio's numbers by kind, `props` the names of their answers, `session` this visitor's name.

const SILENCE = 40000;                       // milliseconds; the server says something every 15 s
const AGAIN = 1000;                          // milliseconds until the next try
const own = (path) => new URL(path, import.meta.url);  // this file is served from among the questions
const asked = (path) => own(`../../${path}`);
export const addressOf = (path) => asked(path).href;

export function createQueue({ questions, props, session }) {
  const open = new Map();                    // by event: { kind, tell, last }
  const early = new Map();                   // by event: what came before we knew that it is ours
  let listening = false;

  function ask(kind, data, tell) {
    const event = { kind, tell, id: null, last: null };
    join(event, data);
    return event;
  }
  async function join(event, data) {
    try {
      const reply = await fetch(asked('queue/join'), { method: 'POST', headers: { 'Content-Type': 'application/json', ...await headersOfSpace() },
        body: JSON.stringify({ fn_index: questions[event.kind], session_hash: session, data: [], event_data: data, simple_format: true }) });
      const said = await reply.json();
      if (reply.ok) {
        event.id = said.event_id;
        open.set(event.id, event);
        for (const message of early.get(event.id) ?? []) hear(message);
        early.clear();
        listen();
      } else event.tell({ error: reply.status === 503 ? 'Too many are waiting for the server. Try again in a moment.' : `The server refused: ${said.detail}` });
    } catch { event.tell({ broken: true }); }
  }

  async function listen() {                  // while an answer is waited for
    if (listening) return;
    listening = true;
    try {
      while (open.size) {
        for await (const line of lines(asked(`queue/data?session_hash=${session}`))) if (line.startsWith('data:')) hear(JSON.parse(line.slice(5)));
      }
    } catch {
      const lost = [...open.values()];
      open.clear();
      for (const { tell } of lost) tell({ broken: true });
    } finally { listening = false; }
  }
  function hear({ msg, event_id: id, output, success }) {
    if (msg === 'unexpected_error') throw new Error('the server is ending');
    if (msg !== 'process_generating' && msg !== 'process_completed') return;
    const event = open.get(id);
    if (!event) { early.set(id, [...early.get(id) ?? [], { msg, event_id: id, output, success }]); return; }
    if (msg === 'process_completed') open.delete(id);
    const text = output?.data?.[0]?.props?.[props[event.kind]] ?? output?.data?.[0]?.[props[event.kind]];
    if (!success) event.tell({ error: 'The server could not answer. Try again.' });
    else if (text && text !== event.last) event.tell(JSON.parse(text));
    event.last = text ?? event.last;
    if (msg === 'process_completed') event.tell({ ended: true });
  }

  function drop(event) {
    if (!event?.id || !open.delete(event.id)) return;
    fetch(asked('cancel'), { method: 'POST', headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ session_hash: session, fn_index: questions[event.kind], event_id: event.id }) }).catch(() => {});
  }

  function upload(file, tell, signal) {
    const form = new FormData();
    form.append('files', file);
    return carry('POST', asked('upload'), 'json', form, tell, signal).then(([path]) => path);
  }
  const download = (path, tell) => carry('GET', asked(`file=${path}`), 'blob', null, tell);

  async function stay(tell) {
    for (let told = true, tries = 0; ; tries += 1) {
      try {
        for await (const line of lines(own(`here/${session}`))) {
          if (!told) tell(told = true);
          tries = 0;
          if (line === 'bye') break;
        }
      } catch (error) {
        if (error.status === 404) { tell(null); return; }
      }
      if (tries && told) tell(told = false);  // one that breaks and is there again at once is no news
      await new Promise((done) => { setTimeout(done, tries ? AGAIN : 100); });
    }
  }

  return { ask, drop, upload, download, stay };
}

// The lines of an answer that goes on; an error where it breaks off or nothing comes.
async function* lines(address) {
  const abort = new AbortController(), end = () => abort.abort();
  let timer = 0, rest = '';
  const wait = () => { clearTimeout(timer); timer = setTimeout(end, SILENCE); };
  wait();
  window.addEventListener('offline', end);
  try {
    const reply = await fetch(address, { signal: abort.signal });
    if (!reply.ok) throw Object.assign(new Error(reply.statusText), { status: reply.status });
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      wait();
      const parts = (rest + part.value).split('\n');
      rest = parts.pop();
      yield* parts;
    }
  } finally {
    clearTimeout(timer);
    window.removeEventListener('offline', end);
    end();
  }
}

// By XMLHttpRequest, which tells how much of a file has gone either way.
const carry = (method, address, kind, body, tell, signal) => new Promise((done, fail) => {
  const request = new XMLHttpRequest(), began = performance.now();
  request.open(method, address);
  request.responseType = kind;
  (body ? request.upload : request).onprogress = ({ loaded, total }) => {
    if (loaded && total) tell({ share: loaded / total, seconds: (performance.now() - began) / 1000 * (total / loaded - 1) });
  };
  request.onload = () => (request.status === 200 ? done(request.response) : fail(new Error(`The server refused the file: ${request.response?.detail ?? request.status}.`)));
  request.onerror = () => fail(new TypeError('no connection'));
  request.onabort = () => fail(new DOMException('another one was opened', 'AbortError'));
  signal?.addEventListener('abort', () => request.abort());
  request.send(body);
});

// On a ZeroGPU Space, the page around this one says whose share of GPU time a question takes.
function headersOfSpace() {
  if (window.parent === window || !window.supports_zerogpu_headers || !location.hostname.endsWith('.hf.space')) return {};
  return new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => { port1.close(); done(data ?? {}); };
    window.parent.postMessage('zerogpu-headers', 'https://huggingface.co', [port2]);
  });
}
