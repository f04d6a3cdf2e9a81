// Script: the one that decides, what came of it, the shadow beside it, and a workbench
// for the next one.

import { get, isLetIn, post } from './api.js';
import { el, keyed, mark, say } from './dom.js';
import { editor } from './editor.js';
import { count, plural, share, since } from './format.js';
import { letIn } from './letin.js';

export function script() {
  const facts = el('dl', { class: 'facts' });
  const probation = el('p', { class: 'notice', hidden: true });
  const outcomes = el('div', { class: 'bars' });
  const unasked = el('p', { class: 'muted' }, 'It was not asked yet.');
  const shadow = shadowTable();
  const builtin = el('p', { class: 'notice', hidden: true }, 'The built-in rule routes: paths below /one/ go to cluster one, all else to two. Write script.file to decide by a script.');
  const side = el('div', { class: 'side' },
    el('article', { class: 'card' }, el('header', null, el('h2', null, 'In force')), facts, probation, el('h3', null, 'Decisions of this version'), unasked, outcomes), shadow.node);
  const bench = workbench();
  const closed = letIn('The script tells how requests are decided on, so the sidecar has to know you first.', bench.open);
  const layout = el('div', { class: 'halves' }, el('div', null, closed, bench.node), side);
  const node = el('section', { 'aria-label': 'Script' }, builtin, layout);
  bench.onopen = () => { closed.hidden = isLetIn(); };

  return {
    node,
    enter: bench.open,
    update({ status, at, edit }) {
      const now = status.script;
      builtin.hidden = now !== null;
      layout.hidden = now === null;
      if (!now) return;
      bench.follow(now.version, edit);
      const rows = [['file', now.file], ['version', now.version], ['since', now.since ? `${since(now.since, Date.parse(at))} ago` : '–'], ['before it', now.previous || 'none']];
      keyed(facts, rows.flatMap(([name, value]) => [{ key: name, tag: 'dt', text: name }, { key: `${name} is`, tag: 'dd', text: value }]), (one) => one.key, (one) => {
        const line = el(one.tag, { 'data-fact': one.tag === 'dd' ? one.key.replace(' is', '') : null });
        return { node: line, update: ({ text }) => say(line, text) };
      });
      probation.hidden = !now.on_probation;
      say(probation, now.on_probation ? `On probation: what it fails on is decided by ${now.previous}.` : '');
      const all = Object.entries(now.decisions).sort((a, b) => b[1] - a[1]);
      const sum = all.reduce((total, [, n]) => total + n, 0);
      unasked.hidden = sum > 0;
      keyed(outcomes, sum ? all.filter(([, n]) => n > 0) : [], ([name]) => name, ([name]) => bar(name, () => sum));
      for (const [name, n] of all) outcomes.keyed.get(name)?.set(n, sum);
      shadow.update(now.shadow);
    },
  };
}

const good = new Set(['ok', 'responded', 'respond', 'default']);

function bar(name) {
  const value = el('span', { class: 'n' });
  const fill = el('i', { 'data-state': good.has(name) ? 'ok' : 'bad' });
  const node = el('div', { class: 'meter', 'data-outcome': name }, el('span', null, name), value, el('div', null, fill));
  return {
    node,
    set(n, sum) {
      say(value, `${count(n)}, ${share(n, sum)}`);
      fill.style.width = `${(100 * n) / sum}%`;
    },
  };
}

function shadowTable() {
  const told = el('p');
  const rows = el('tbody');
  const table = el('div', { class: 'scroll' }, el('table', { class: 'moves' }, el('thead', null, el('tr', null, ...['from', 'to', 'requests', 'such as'].map((one) => el('th', { scope: 'col' }, one)))), rows));
  const node = el('article', { class: 'card', id: 'shadow' }, el('header', null, el('h2', null, 'Shadow')), told, table);
  return {
    node,
    update(shadow) {
      table.hidden = !shadow || shadow.moves.length === 0;
      if (!shadow) {
        say(told, 'None is configured: script.shadow asks another script beside this one, and shows here where it would send requests.');
        mark(told, 'class', 'muted');
        return;
      }
      const moved = shadow.moves.reduce((sum, one) => sum + one.requests, 0);
      mark(told, 'class', shadow.fault ? 'bad' : null);
      say(told, shadow.fault ? `${shadow.file} is refused: ${shadow.fault}`
        : `${shadow.file}, version ${shadow.version}, was asked on ${plural(shadow.asked, 'request', 'requests')}: it would move ${moved ? `${count(moved)} (${share(moved, shadow.asked)})` : 'none'}${shadow.failed ? ` and failed on ${count(shadow.failed)}` : ''}.`);
      keyed(rows, shadow.moves, (one) => `${one.from} > ${one.to}`, (one) => {
        const n = el('td', { class: 'n' });
        const samples = el('td', { class: 'mono' });
        return {
          node: el('tr', null, el('td', null, one.from), el('td', null, one.to), n, samples),
          update(now) {
            say(n, count(now.requests));
            say(samples, now.samples.join('  '));
          },
        };
      });
    },
  };
}

function workbench() {
  const title = el('h2', { class: 'mono' }, 'route.js');
  const changed = el('span', { class: 'pill', 'data-state': 'warn', hidden: true }, 'edited');
  const newer = el('p', { class: 'notice', hidden: true }, 'Another version is in force now than the one that you began with. ');
  newer.append(el('button', { type: 'button', onclick: () => open(true) }, 'Open what the file holds'));
  const edit = editor({ label: 'the routing script', onchange: edited, onsubmit: tryIt });
  const tried = el('button', { type: 'button', class: 'primary', onclick: tryIt, title: 'Ctrl+Enter' }, 'Try it');
  const copy = el('button', { type: 'button', onclick: copyOut }, 'Copy');
  const reset = el('button', { type: 'button', onclick: () => open(true), disabled: true }, 'Undo all');
  const save = el('button', { type: 'button', onclick: saveIt, disabled: true, hidden: true }, 'Save and activate');
  const told = el('span', { class: 'muted', role: 'status' });
  const report = el('div', { class: 'report', 'aria-live': 'polite' });
  const node = el('article', { class: 'card bench', hidden: true }, el('header', null, title, changed), newer, edit.node,
    el('div', { class: 'tools' }, tried, copy, reset, save, told), report);

  const bench = { node, open, follow, onopen() {} };
  let was = null; // what GET /script answered
  let version = null;
  let mayEdit = false;
  let busy = false;

  function follow(now, editable) {
    mayEdit = editable;
    save.hidden = !editable;
    if (was && now !== version) {
      version = now;
      if (edit.text === was.text) open(true);
      else newer.hidden = false;
    }
  }

  async function open(again) {
    bench.onopen();
    node.hidden = !isLetIn();
    if (!isLetIn() || (was && again !== true)) return;
    try {
      const text = await get('/script');
      was = text;
      version = text.script?.version;
      say(title, text.name || 'route.js');
      edit.text = text.text;
      newer.hidden = true;
      report.replaceChildren();
      edited();
      say(told, '');
    } catch (refused) {
      say(told, refused.message);
      bench.onopen();
      node.hidden = !isLetIn();
    }
  }

  function edited() {
    const same = edit.text === was?.text;
    changed.hidden = same;
    reset.disabled = same;
    save.disabled = true;
    say(told, '');
    report.replaceChildren();
  }

  // during does something that takes its time, once at a time.
  async function during(what, doing) {
    if (busy) return;
    busy = true;
    say(told, what);
    try {
      await doing();
    } catch (refused) {
      say(told, refused.message);
      bench.onopen(); // we may not be let in any more
    }
    busy = false;
  }

  const tryIt_ = async () => {
    const text = edit.text;
    const verdict = await post('/script/validate', { text });
    if (edit.text !== text) return say(told, 'The text has changed meanwhile.');
    say(told, '');
    show(verdict);
    save.disabled = !(verdict.ok && mayEdit && text !== was.text);
  };

  function tryIt() {
    return during('trying …', tryIt_);
  }

  function show(verdict) {
    const remarks = [...verdict.faults.map((one) => ({ ...one, state: 'bad' })), ...verdict.warnings.map((one) => ({ ...one, state: 'warn' }))];
    edit.remarks = remarks.filter((one) => one.line > 0 && (!one.file || one.file === was.name || one.file.endsWith(`/${was.name}`)));
    const lead = verdict.ok ? `It would become version ${verdict.version}${verdict.tests ? `, and meets its ${plural(verdict.tests, 'test', 'tests')}` : ''}.` : 'It would be refused.';
    report.replaceChildren(
      el('p', { class: 'lead', 'data-state': verdict.ok ? 'ok' : 'bad' }, lead),
      el('ul', { class: 'plain remarks' }, ...remarks.map((one) => el('li', { 'data-state': one.state },
        one.line > 0 ? el('button', { type: 'button', class: 'place', onclick: () => edit.go(one.line, one.column) }, `${one.line}:${one.column}`) : null, ' ', one.message))),
      ...(verdict.version ? [moves(verdict)] : []),
    );
  }

  function moves(verdict) {
    if (!verdict.compared) return el('p', { class: 'muted' }, 'No request is on record that it could decide on again.');
    const of = plural(verdict.compared, 'recorded request', 'recorded requests');
    const unknown = verdict.unknown ? el('p', { class: 'muted' }, `Of ${count(verdict.unknown)} it can not be told: they were recorded without what it reads.`) : null;
    if (!verdict.moved) return el('div', { class: 'moved' }, el('p', null, `None of ${of} would move.`), unknown);
    return el('div', { class: 'moved' },
      ...verdict.moves.map((one) => el('div', null, el('p', null, el('b', null, count(one.requests)), ` of ${of} would move from `, el('b', null, one.from), ' to ', el('b', null, one.to)),
        el('ul', { class: 'plain mono samples' }, ...one.samples.map((sample) => el('li', null, sample))))), unknown);
  }

  async function copyOut() {
    try {
      await navigator.clipboard.writeText(edit.text);
      say(told, 'copied');
    } catch {
      edit.node.querySelector('textarea').select();
      say(told, 'selected: press Ctrl+C');
    }
  }

  function saveIt() {
    return during('saving …', async () => {
      await post('/script', { text: edit.text, base: was.base });
      await open(true);
      say(told, 'saved, and active');
    });
  }
  return bench;
}
