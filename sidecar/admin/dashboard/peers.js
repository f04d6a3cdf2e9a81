// Peers: the other sidecars, and where they are not as this one is.

import { el, keyed, mark, say } from './dom.js';
import { count, since } from './format.js';

const columns = [['alive', 'alive for'], ['version', 'version'], ['script', 'script'], ['config', 'configuration'], ['fronts', 'stands before']];
const mono = new Set(['script', 'config', 'fronts']);

export function peers() {
  const none = el('p', { class: 'notice', hidden: true }, 'There are no peers: the configuration has no section gossip.');
  const facts = el('p', { class: 'muted facts' });
  const rows = el('tbody');
  const table = el('div', { class: 'card flush' }, el('div', { class: 'scroll tall' }, el('table', { class: 'peers' },
    el('thead', null, el('tr', null, el('th', { scope: 'col' }, 'sidecar'), ...columns.map(([, title]) => el('th', { scope: 'col' }, title)))), rows)));
  const node = el('section', { 'aria-label': 'Peers' }, none, facts, table);

  function update({ peers: all, at }) {
    none.hidden = all.enabled;
    table.hidden = facts.hidden = !all.enabled;
    if (!all.enabled) return;
    const rejected = Object.entries(all.rejected).filter(([, n]) => n > 0);
    const adrift = all.peers.filter((one) => one.drift.length > 0).length;
    say(facts, [
      all.peers.length === 1 ? '1 peer' : `${count(all.peers.length)} peers`,
      adrift ? `${count(adrift)} not like this one` : all.peers.length ? 'all like this one' : '',
      all.score ? `hears badly (${all.score} of 8)` : 'hears well',
      all.only_tcp ? `${count(all.only_tcp)} pings went by TCP alone: something blocks UDP` : '',
      ...rejected.map(([reason, n]) => `${count(n)} messages refused (${reason})`),
    ].filter(Boolean).join(', ') + '.');
    keyed(rows, [{ ...all.self, self: true }, ...all.peers], (one) => one.id, (one) => peerRow(one, Date.parse(at)));
    for (const row of rows.keyed.values()) row.age(Date.parse(at));
  }
  return { node, update };
}

function peerRow(peer) {
  const name = el('span', { class: 'name' });
  const note = el('small', { class: 'muted' });
  const draining = el('span', { class: 'pill', 'data-state': 'warn', hidden: true }, 'draining');
  const cells = {};
  for (const [part] of columns) cells[part] = el('span', { class: mono.has(part) ? 'mono' : null });
  const node = el('tr', { 'data-peer': peer.name }, el('th', { scope: 'row' }, name, ' ', draining, note), ...columns.map(([part, title]) => el('td', { 'data-label': title }, cells[part])));
  let since_ = peer.since;
  return {
    node,
    age: (now) => say(cells.alive, since(since_, now)),
    update(one) {
      since_ = one.since;
      say(name, one.name);
      say(note, one.self ? `this one, ${one.address}` : one.address);
      draining.hidden = !one.draining;
      say(cells.version, one.version || '–');
      say(cells.script, one.script || 'built-in');
      say(cells.config, one.config);
      say(cells.fronts, one.fronts || '–');
      for (const part of ['version', 'script', 'config']) {
        const drifts = one.drift.includes(part);
        mark(cells[part], 'data-drift', drifts || null);
        mark(cells[part], 'title', drifts ? 'differs from this sidecar\'s' : null);
      }
    },
  };
}
