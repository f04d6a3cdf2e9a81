// An editor: a text area on top of the same text in colours, with remarks at their lines.

import { el, mark } from './dom.js';
import { colour } from './highlight.js';

export function editor({ label, onchange, onsubmit }) {
  const gutter = el('div', { class: 'gutter', 'aria-hidden': 'true' });
  const shown = el('pre', { 'aria-hidden': 'true' });
  const area = el('textarea', { spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off', wrap: 'off', 'aria-label': label, rows: '1' });
  const notes = el('div', { class: 'notes', 'aria-hidden': 'true' });
  const node = el('div', { class: 'editor' }, gutter, el('div', { class: 'code' }, shown, area, notes));
  let remarks = [];

  const lines = () => area.value.split('\n');

  function draw() {
    colour(shown, `${area.value}\n`);
    const all = lines();
    while (gutter.childElementCount < all.length) gutter.append(el('span', null, String(gutter.childElementCount + 1)));
    while (gutter.childElementCount > all.length) gutter.lastChild.remove();
    [...gutter.children].forEach((number, i) => mark(number, 'data-state', remarks.find((one) => one.line === i + 1)?.state));
    notes.replaceChildren(...remarks.filter((one) => one.line > 0 && one.line <= all.length).map((one) => {
      const note = el('span', { 'data-state': one.state, title: one.message }, one.message);
      const width = all[one.line - 1].replaceAll('\t', '    ').length;
      note.style.top = `calc(${one.line - 1} * var(--row))`;
      note.style.left = `${width + 3}ch`;
      return note;
    }));
  }

  area.addEventListener('input', () => {
    remarks = [];
    draw();
    onchange();
  });
  area.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      onsubmit();
    }
  });

  return {
    node,
    get text() { return area.value; },
    set text(text) {
      area.value = text;
      remarks = [];
      draw();
    },
    set remarks(all) {
      remarks = all;
      draw();
    },
    // go puts the cursor to a place; lines and columns count from 1.
    go(line, column) {
      const start = lines().slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + Math.max(column - 1, 0);
      area.focus();
      area.setSelectionRange(start, start);
      gutter.children[line - 1]?.scrollIntoView({ block: 'nearest' });
    },
  };
}
