// Traffic: each cluster with its last minutes, and its backends.

import { chart, spark } from './chart.js';
import { el, keyed, mark, say } from './dom.js';
import { count, millis, rate, share, since } from './format.js';
import { backendKey, lately, state } from './state.js';

const MANY = 12; // backends, from which on those with trouble come first

const rank = { down: 0, trial: 1, suspect: 2, draining: 3, up: 4 };

function figure(label) {
  const value = el('b');
  const note = el('small');
  return { node: el('div', { class: 'figure' }, el('span', null, label), value, note), value, note };
}

export function traffic() {
  const all = { rate: figure('requests per second'), errors: figure('errors'), slow: figure('slowest cluster, p99'), backends: figure('backends in turn'), open: figure('under way') };
  const cards = el('div', { class: 'cards' });
  const trouble = el('p', { class: 'notice bad', role: 'alert', hidden: true });
  const node = el('section', { 'aria-label': 'Traffic' }, trouble, el('div', { class: 'figures' }, ...Object.values(all).map((one) => one.node)), cards);

  function update({ status }) {
    const names = status.clusters.map((one) => one.name);
    const now = lately(names);
    say(all.rate.value, rate(now.rate));
    say(all.rate.note, `${count(names.reduce((sum, name) => sum + (state.series.get(name) ?? []).reduce((all, one) => all + one.requests, 0), 0))} in the last minutes`);
    say(all.errors.value, share(now.failed, now.requests));
    mark(all.errors.node, 'data-state', now.failed ? 'bad' : null);
    say(all.errors.note, 'status 500 and above');
    say(all.slow.value, millis(now.p99));
    say(all.slow.note, `p50 ${millis(now.p50)}`);
    const usable = status.clusters.reduce((sum, one) => sum + one.usable, 0);
    const total = status.clusters.reduce((sum, one) => sum + one.total, 0);
    say(all.backends.value, `${count(usable)} / ${count(total)}`);
    mark(all.backends.node, 'data-state', usable < total ? 'warn' : null);
    say(all.backends.note, status.clusters.length === 1 ? 'in 1 cluster' : `in ${status.clusters.length} clusters`);
    say(all.open.value, count(status.active));
    say(all.open.note, status.clients === 1 ? '1 client connection' : `${count(status.clients)} client connections`);
    trouble.hidden = !status.config.last_reload_error;
    say(trouble, status.config.last_reload_error && `The last reload was refused, what ran before goes on: ${status.config.last_reload_error}`);
    keyed(cards, status.clusters, (one) => one.name, card);
  }
  return { node, update };
}

function card(cluster) {
  const turns = el('span', { class: 'pill' });
  const requests = chart({
    label: 'requests/s', format: rate,
    series: [{ name: 'all', kind: 'area', class: 'main' }, { name: 'errors', kind: 'area', class: 'bad' }],
  });
  const times = chart({
    label: 'latency', format: millis, least: 0.5,
    series: [{ name: 'p99', kind: 'line', class: 'second' }, { name: 'p50', kind: 'line', class: 'main' }],
  });
  const strip = el('div', { class: 'strip', 'aria-hidden': 'true' });
  const rows = el('tbody');
  const empty = el('p', { class: 'muted empty' }, 'No address is known: its names do not resolve.');
  const table = el('table', { class: 'backends' },
    el('thead', null, el('tr', null, el('th', { scope: 'col' }, 'backend'), el('th', { scope: 'col', class: 'wide' }, el('span', { class: 'hide' }, 'last minute')),
      el('th', { scope: 'col', class: 'n' }, 'req/s'), el('th', { scope: 'col', class: 'n' }, 'p50'), el('th', { scope: 'col', class: 'n wide' }, 'p99'),
      el('th', { scope: 'col', class: 'n wide' }, 'open'), el('th', { scope: 'col', class: 'n' }, 'failed'))), rows);
  const scroll = el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `backends of ${cluster.name}` }, table);
  const node = el('article', { class: 'card', 'data-cluster': cluster.name }, el('header', null, el('h2', null, cluster.name), turns),
    el('div', { class: 'charts' }, requests.node, times.node), strip, empty, scroll);

  function update({ name, backends, usable, total }) {
    say(turns, total === 0 ? 'empty' : usable === total ? `${count(total)} in turn` : `${count(usable)} of ${count(total)} in turn`);
    mark(turns, 'data-state', usable === 0 ? 'bad' : usable < total ? 'warn' : 'ok');
    const seconds = state.series.get(name) ?? [];
    requests.update(seconds.map((one) => [one.requests, one.failed]));
    times.update(seconds.map((one) => [one.p99_ms, one.p50_ms]));
    strip.hidden = backends.length <= MANY;
    if (!strip.hidden) {
      keyed(strip, backends, (one) => one.address, (one) => {
        const cell = el('i', { title: one.name });
        return { node: cell, update: (now) => mark(cell, 'data-state', now.state) };
      });
    }
    empty.hidden = backends.length > 0;
    scroll.hidden = backends.length === 0;
    const order = backends.length <= MANY ? backends : backends.toSorted((a, b) => rank[a.state] - rank[b.state]);
    keyed(rows, order, (one) => one.address, (one) => backendRow(name, one));
  }
  return { node, update };
}

function backendRow(cluster, backend) {
  const dot = el('i', { class: 'dot' });
  const word = el('span', { class: 'hide' });
  const name = el('span', { class: 'name' });
  const note = el('small', { class: 'muted' });
  const line = spark();
  const cells = { rate: el('td', { class: 'n' }), p50: el('td', { class: 'n' }), p99: el('td', { class: 'n wide' }), open: el('td', { class: 'n wide' }), failed: el('td', { class: 'n' }) };
  const node = el('tr', { 'data-backend': backend.name }, el('th', { scope: 'row' }, dot, word, name, note), el('td', { class: 'wide' }, line.node), ...Object.values(cells));

  function update(now) {
    const known = state.backends.get(backendKey(cluster, now.address)) ?? {};
    mark(node, 'data-state', now.state);
    say(word, `${now.state} `);
    mark(dot, 'title', now.state);
    say(name, now.name);
    mark(name, 'title', now.name === now.address ? now.name : `${now.name}, ${now.address}`);
    say(note, now.state === 'up' ? '' : `${now.state}${now.since ? ` for ${since(now.since, Date.parse(state.snapshot.at))}` : ''}${now.reason ? `: ${now.reason}` : ''}`);
    mark(note, 'title', note.textContent);
    line.update(known.rates ?? []);
    say(cells.rate, rate(known.rate));
    say(cells.p50, millis(known.p50));
    say(cells.p99, millis(known.p99));
    say(cells.open, count(now.in_flight));
    say(cells.failed, count(now.failures));
    mark(cells.failed, 'data-state', now.failures ? 'bad' : null);
  }
  return { node, update };
}
