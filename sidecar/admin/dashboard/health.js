// Health: every backend, and what each sidecar says of it.

import { el, keyed, mark, say } from './dom.js';
import { count, span } from './format.js';
import { hideTip, tipFor } from './tip.js';

const glyphs = { up: '●', suspect: '▲', down: '✕', trial: '◐', draining: '↓', silent: '·' };

export function health() {
  const words = el('input', { type: 'search', placeholder: 'filter backends', 'aria-label': 'filter backends', class: 'filter' });
  const onlyTrouble = el('input', { type: 'checkbox' });
  const total = el('span', { class: 'muted', role: 'status' });
  const silence = el('p', { class: 'notice', hidden: true });
  const head = el('tr');
  const body = el('tbody');
  const table = el('table', { class: 'matrix', role: 'grid', 'aria-label': 'what each sidecar says of each backend' }, el('thead', null, head), body);
  const none = el('p', { class: 'muted empty', hidden: true });
  const node = el('section', { 'aria-label': 'Health' },
    el('div', { class: 'tools' }, words, el('label', null, onlyTrouble, ' only trouble'), total,
      el('span', { class: 'key muted' }, ...['up', 'suspect', 'down', 'trial', 'draining', 'silent'].map((one) =>
        el('span', null, el('i', { class: 'glyph', 'data-state': one }, glyphs[one]), ` ${one === 'silent' ? 'says nothing' : one}`)))),
    silence, el('div', { class: 'card flush fit' }, el('div', { class: 'scroll tall' }, table), none));

  let last = null;
  let columns = [];
  const again = () => last && update(last);
  words.addEventListener('input', again);
  onlyTrouble.addEventListener('change', again);
  walk(table);

  function update(snapshot) {
    last = snapshot;
    const { self, peers, backends, silence: why } = snapshot.health;
    silence.hidden = !why;
    say(silence, why && `This sidecar tells its peers nothing now: ${why}`);
    columns = [{ key: 'verdict', name: 'verdict' }, { key: 'own', name: `${self} (this one)` }, ...peers.map((name) => ({ key: `peer ${name}`, peer: name, name }))];
    keyed(head, [{ key: 'backend', name: 'backend' }, ...columns], (one) => one.key, (one) => {
      const cell = el('th', { scope: 'col' }, el('span', { title: one.name }, one.name));
      return { node: cell };
    });
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = backends.filter((one) => (!onlyTrouble.checked || one.state !== 'up' || !one.own.well || one.claims.length > 0) &&
      wanted.every((word) => `${one.cluster} ${one.name} ${one.address} ${one.state}`.toLowerCase().includes(word)));
    say(total, shown.length === backends.length ? `${count(backends.length)} backends` : `${count(shown.length)} of ${count(backends.length)} backends`);
    none.hidden = shown.length > 0;
    say(none, backends.length ? 'No backend is like that.' : 'There is no backend.');
    table.parentNode.hidden = shown.length === 0;
    keyed(body, shown, (one) => `${one.cluster} ${one.address}`, (one) => row(one, () => columns));
    if (!table.querySelector('[tabindex="0"]')) table.querySelector('button')?.setAttribute('tabindex', '0');
  }
  return { node, update };
}

function row(backend, columns) {
  const node = el('tr', { 'data-backend': backend.name }, el('th', { scope: 'row' },
    el('small', { class: 'muted' }, backend.cluster), el('span', { class: 'name', title: backend.address }, backend.name)));
  const cells = afterHead(node);
  return {
    node,
    update(now) {
      mark(node, 'data-state', now.state);
      keyed(cells, columns().map((column) => ({ column, now })), (one) => one.column.key, cell);
    },
  };
}

// afterHead lets keyed see the cells of a row but its head.
const afterHead = (tr) => ({
  get firstChild() {
    return tr.firstChild.nextSibling;
  },
  insertBefore: (node, at) => tr.insertBefore(node, at),
});

function cell() {
  let lines = [];
  const button = el('button', { type: 'button', class: 'glyph', tabindex: '-1' });
  tipFor(button, () => lines);
  return {
    node: el('td', { role: 'gridcell' }, button),
    update({ column, now }) {
      const said = says(now, column);
      lines = said.lines;
      mark(button, 'data-state', said.state);
      mark(button, 'aria-label', `${now.name}, ${column.name}: ${said.word}`);
      say(button, glyphs[said.state]);
    },
  };
}

// says is what a sidecar says of a backend: a state, and how it came to it.
function says(backend, column) {
  if (column.key === 'verdict') {
    const lines = [`${backend.name} is ${backend.state}, for ${span(backend.for_seconds)}`, backend.why];
    if (backend.contested) lines.push('Contested: a peer says down, and our own check has found it well.');
    if (backend.claimed) lines.push('This sidecar tells its peers that it is down.');
    if (!backend.shared) lines.push('Its address means nothing to peers, so nobody tells of it.');
    return { state: backend.state, word: backend.state, lines };
  }
  if (column.key === 'own') {
    const { own } = backend;
    const checked = own.checked_seconds_ago < 0 ? 'not checked yet' : `checked ${span(own.checked_seconds_ago)} ago`;
    const bad = `${own.bad > 1 ? `${own.bad} times ` : ''}${own.reason}`;
    return {
      state: own.well ? 'up' : own.bad > 1 || backend.state === 'down' ? 'down' : 'suspect', word: own.well ? 'well' : bad,
      lines: [own.well ? 'Found well by this sidecar itself' : `This sidecar itself: ${bad}`, own.well ? checked : `by its ${own.source}; ${checked}`,
        own.well && own.reason ? `the last trouble: ${own.reason}` : ''],
    };
  }
  const claim = backend.claims.find((one) => one.peer === column.peer);
  if (!claim) return { state: 'silent', word: 'says nothing', lines: [`${column.peer} has nothing against it.`] };
  return {
    state: claim.state, word: `says ${claim.state}`,
    lines: [`${claim.peer} says ${claim.state}`, `by ${{ owner: 'the owner\'s word', traffic: 'its requests' }[claim.kind] ?? `its ${claim.kind} check`}, ${span(claim.age_seconds)} ago`,
      backend.deaf_for_seconds > 0 ? `claims that it is down count for nothing for ${span(backend.deaf_for_seconds)}: our own check found it well` : ''],
  };
}

// walk lets the arrow keys go from cell to cell; one of them is in the tab order.
function walk(table) {
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -1e6], End: [0, 1e6], PageUp: [-10, 0], PageDown: [10, 0] };
  table.addEventListener('focusin', (event) => {
    table.querySelectorAll('button[tabindex="0"]').forEach((one) => one.setAttribute('tabindex', '-1'));
    event.target.setAttribute('tabindex', '0');
  });
  table.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') hideTip();
    const step = steps[event.key];
    const td = event.target.closest('td');
    if (!step || !td) return;
    event.preventDefault();
    const rows = td.closest('tbody').rows;
    const tr = rows[Math.min(Math.max(td.parentNode.sectionRowIndex + step[0], 0), rows.length - 1)];
    tr.cells[Math.min(Math.max(td.cellIndex + step[1], 1), tr.cells.length - 1)].firstChild.focus();
  });
}
