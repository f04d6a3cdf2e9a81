// The dashboard: views of one stream of snapshots.

import { enterByLink, get } from './api.js';
import { el, mark, say } from './dom.js';
import { span } from './format.js';
import { health } from './health.js';
import { letIn } from './letin.js';
import { peers } from './peers.js';
import { requests } from './requests.js';
import { script } from './script.js';
import { state, take } from './state.js';
import { hideTip } from './tip.js';
import { traffic } from './traffic.js';

const makers = { traffic, health, requests, script, peers };
const names = Object.keys(makers);
const views = {};
let current = null;

const $ = (id) => document.getElementById(id);

function show() {
  const name = names.includes(location.hash.slice(1)) ? location.hash.slice(1) : names[0];
  if (current === name) return;
  views[current]?.leave?.();
  hideTip();
  current = name;
  views[name] ??= makers[name]();
  $('main').replaceChildren(views[name].node);
  for (const link of $('views').children) mark(link, 'aria-current', link.hash === `#${name}` ? 'page' : null);
  document.title = `${name[0].toUpperCase()}${name.slice(1)} · Outrider`;
  if (state.snapshot) views[name].update(state.snapshot);
  views[name].enter?.();
}

function tell(snapshot) {
  const { status } = snapshot;
  say($('name'), status.name);
  $('ready').hidden = status.ready;
  say($('ready'), 'not ready');
  mark($('ready'), 'data-state', 'warn');
  say($('about'), `${status.name}, version ${status.version || 'unknown'}, up for ${span(status.uptime_seconds)}`);
  views[current]?.update(snapshot);
}

function live(how, words) {
  mark($('live'), 'data-state', how);
  say($('live').lastChild, words);
}

function listen() {
  const stream = new EventSource('/events');
  let fresh = true;
  stream.onopen = () => { fresh = true; };
  stream.onmessage = ({ data }) => {
    take(JSON.parse(data), fresh);
    fresh = false;
    live('live', 'live');
    tell(state.snapshot);
  };
  stream.onerror = async () => {
    live('lost', 'reconnecting');
    if (stream.readyState !== EventSource.CLOSED) return;
    try {
      await get('/traffic');
    } catch (refused) {
      if (refused.status === 401) return lockedOut();
    }
    setTimeout(listen, 2000);
  };
}

// lockedOut asks for the token where even reading needs it.
function lockedOut() {
  live('lost', 'locked');
  const form = letIn('This listener can be reached from other hosts, so the sidecar has to know you first.', () => location.reload());
  $('main').replaceChildren(form);
}

addEventListener('hashchange', () => {
  if (location.hash.startsWith('#in=')) enterByLink().then(() => location.reload());
  else show();
});

addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'Escape') return hideTip();
  if (event.target.matches('input, textarea, select') || document.querySelector('dialog[open]')) return;
  const name = names[Number(event.key) - 1];
  if (name) location.hash = name;
  if (event.key === '/') {
    const field = $('main').querySelector('.filter');
    if (field) {
      event.preventDefault();
      field.focus();
    }
  }
});

const refused = await enterByLink();
show();
if (refused) $('main').before(el('p', { class: 'notice', role: 'alert' }, refused[0].toUpperCase() + refused.slice(1)));
listen();
