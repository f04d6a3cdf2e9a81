// Requests: those that have come to their end, as they do, and one of them explained.

import { get, isLetIn, lookAgain } from './api.js';
import { el, keyed, mark, say } from './dom.js';
import { clock, count, millis, plural } from './format.js';
import { letIn } from './letin.js';

const SHOWN = 200;

export function requests() {
  const words = el('input', { type: 'search', class: 'filter', placeholder: 'path, backend, rule, id …', 'aria-label': 'filter requests by words' });
  const cluster = el('select', { 'aria-label': 'cluster' }, el('option', { value: '' }, 'every cluster'));
  const status = el('select', { 'aria-label': 'status' }, ...[['', 'every status'], ['2xx', '2xx'], ['3xx', '3xx'], ['4xx', '4xx'], ['5xx', '5xx'], ['000', 'no answer']].map(([value, text]) => el('option', { value }, text)));
  const pause = el('button', { type: 'button', 'aria-pressed': 'false' }, 'Pause');
  const told = el('span', { class: 'muted', role: 'status' });
  const rows = el('tbody');
  const none = el('p', { class: 'muted empty' }, 'No request like that is on record. They show here as they end.');
  const table = el('table', { class: 'taps' }, el('thead', null, el('tr', null, ...['time', 'request', 'status', 'went to', 'rule', 'took'].map((one) => el('th', { scope: 'col' }, one)))), rows);
  const list = el('div', { class: 'card flush' }, el('div', { class: 'scroll taller' }, table), none);
  const tools = el('div', { class: 'tools' }, words, cluster, status, pause, told);
  const closed = letIn('This shows what clients sent, so the sidecar has to know you first.', open);
  const detail = explanation();
  const node = el('section', { 'aria-label': 'Requests' }, closed, tools, list, detail.node);

  let stream = null;
  let kept = [];
  let missed = 0;
  let on = false;

  function show() {
    keyed(rows, kept, (one) => one.serial, (one) => tapRow(one, detail.open));
    none.hidden = kept.length > 0;
    say(told, [kept.length ? `${plural(kept.length, 'request', 'requests')}` : '', missed ? `${count(missed)} more came too fast to show` : ''].filter(Boolean).join(', '));
  }

  function close() {
    stream?.close();
    stream = null;
  }

  function open() {
    close();
    closed.hidden = isLetIn();
    tools.hidden = list.hidden = !isLetIn();
    if (!on || !isLetIn()) return;
    kept = [];
    missed = 0;
    show();
    stream = new EventSource(`/tap?${new URLSearchParams({ words: words.value, cluster: cluster.value, status: status.value })}`);
    let fresh = true;
    stream.onopen = () => { fresh = true; };
    stream.onmessage = ({ data }) => {
      const news = JSON.parse(data);
      say(none, news.off ? 'Nothing is recorded: script.record is 0.' : 'No request like that is on record. They show here as they end.');
      if (pause.getAttribute('aria-pressed') === 'true') return;
      kept = [...news.requests.toReversed(), ...(fresh ? [] : kept)].slice(0, SHOWN);
      missed = fresh ? 0 : missed + news.missed;
      fresh = false;
      show();
    };
    stream.onerror = () => {
      if (stream?.readyState !== EventSource.CLOSED) return;
      close();
      setTimeout(async () => {
        await lookAgain();
        if (on && !stream) open();
      }, 1000);
    };
  }

  let soon = null;
  words.addEventListener('input', () => {
    clearTimeout(soon);
    soon = setTimeout(open, 250);
  });
  cluster.addEventListener('change', open);
  status.addEventListener('change', open);
  pause.addEventListener('click', () => {
    const paused = pause.getAttribute('aria-pressed') !== 'true';
    mark(pause, 'aria-pressed', String(paused));
    say(pause, paused ? 'Go on' : 'Pause');
  });

  return {
    node,
    enter() {
      on = true;
      open();
    },
    leave() {
      on = false;
      close();
    },
    update(snapshot) {
      const names = snapshot.status.clusters.map((one) => one.name);
      const known = [...cluster.options].slice(1).map((one) => one.value);
      if (names.join() === known.join()) return;
      const chosen = cluster.value;
      cluster.replaceChildren(cluster.options[0], ...names.map((name) => el('option', { value: name }, name)));
      cluster.value = names.includes(chosen) ? chosen : '';
    },
  };
}

const stateOf = (status) => (status >= 500 || status === 0 ? 'bad' : status >= 400 ? 'warn' : 'ok');

function tapRow(one, open) {
  const target = one.backend ? [el('span', null, one.cluster), el('span', { class: 'muted' }, ` ${one.backend}`)] : [el('span', { class: 'muted' }, one.cluster ? `${one.cluster}, no backend` : 'answered here')];
  const notes = [one.outcome, one.attempts > 1 ? `${one.attempts} tries` : '', one.end === 'done' ? '' : one.end].filter(Boolean).join(', ');
  const button = el('button', { type: 'button', class: 'request', title: `${one.method} ${one.path}`, onclick: () => open(one) },
    el('b', null, one.method), ` ${one.path}`);
  return {
    node: el('tr', null, el('td', { class: 'n muted' }, clock(one.at)), el('td', { class: 'what' }, button),
      el('td', null, el('span', { class: 'pill', 'data-state': stateOf(one.status) }, one.status || 'none')),
      el('td', { class: 'where' }, ...target), el('td', { class: 'rule' }, one.rule, notes && el('small', { class: 'muted' }, notes)), el('td', { class: 'n took' }, millis(one.ms))),
  };
}

// explanation is a dialog with what happened to a request.
function explanation() {
  const title = el('h2', { class: 'mono' });
  const body = el('div', { class: 'explained' });
  const dialog = el('dialog', { 'aria-label': 'one request explained' },
    el('header', null, title, el('button', { type: 'button', class: 'close', 'aria-label': 'close', onclick: () => dialog.close() }, '×')), body);
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());

  const part = (name, ...content) => el('div', null, el('h3', null, name), ...content);
  const list = (rows) => el('dl', null, ...rows.filter(([, value]) => value !== '' && value != null).flatMap(([name, value]) => [el('dt', null, name), el('dd', null, String(value))]));

  async function open(one) {
    say(title, `${one.method} ${one.path}`);
    body.replaceChildren(el('p', { class: 'muted' }, 'asking …'));
    dialog.showModal();
    let e;
    try {
      e = await get(`/explain?id=${encodeURIComponent(one.id)}`);
    } catch (refused) {
      body.replaceChildren(el('p', { class: 'notice' }, refused.message));
      return;
    }
    const x = e.exchange ?? {};
    body.replaceChildren(
      el('p', { class: 'lead' }, e.then),
      part('Decision', list([['cluster', e.cluster ?? '–'], ['rule', e.rule], ['place', e.place], ['outcome', e.outcome], ['script', e.version], ['error', e.error]])),
      ...(e.read?.length ? [part('What the script read', list(e.read.map((r) => [r.what, r.absent ? 'absent' : `${r.value}${r.hidden ? ' (a hash)' : ''}`])))] : []),
      ...(x.attempts?.length ? [part('Tries', el('ol', null, ...x.attempts.map((a) => el('li', null, `${a.backend} ${a.failure ? `failed: ${a.failure}` : 'answered'}`, el('span', { class: 'muted' }, ` after ${millis(a.after_ms)}`)))))] : []),
      part('Exchange', list([['status', x.status || 'none'], ['took', millis(x.ms)], ['ended', x.end], ['why', x.detail], ['id', e.id], ['at', e.at && clock(e.at)]])),
      ...(e.backends?.length ? [part('Backends at that time', el('ul', { class: 'plain' }, ...e.backends.map((b) => el('li', null, el('i', { class: 'dot', 'data-state': b.state }), el('b', null, b.address), ` ${b.state}`, el('small', { class: 'muted' }, b.why ?? '')))))] : []),
    );
  }
  return { node: dialog, open };
}
