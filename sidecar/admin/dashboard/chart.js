// Small charts of the last minutes, one point a second.

import { el, mark, say, svg } from './dom.js';

const WIDTH = 240;
const HEIGHT = 64;
const LEAST = 60; // seconds that the width stands for; with more of them, it stands for all

// A chart has series [{ name, kind: 'area' | 'line', class }], and shows rows of as many
// numbers. format writes a number. What it shows under the pointer it says in words.
export function chart({ label, series, format, least = 1 }) {
  const shapes = series.map((one) => ({
    area: svg('path', { class: `area ${one.class}` }),
    line: svg('path', { class: `line ${one.class}`, 'vector-effect': 'non-scaling-stroke' }),
  }));
  const cursor = svg('line', { class: 'cursor', y1: 0, y2: HEIGHT, 'vector-effect': 'non-scaling-stroke', visibility: 'hidden' });
  const image = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' },
    svg('line', { class: 'base', x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5, 'vector-effect': 'non-scaling-stroke' }),
    ...shapes.flatMap(({ area, line }) => [area, line]), cursor);
  const top = el('span', { class: 'axis' });
  const legend = el('span', { class: 'legend' });
  const values = series.map((one) => {
    const value = el('b');
    legend.append(el('span', { class: one.class }, el('i'), `${one.name} `, value));
    return value;
  });
  const when = el('span', { class: 'when muted' });
  const node = el('figure', { class: 'chart' }, el('figcaption', null, el('span', { class: 'label' }, label), legend, when),
    el('div', { class: 'plot' }, image, top));

  let rows = [];
  const step = () => WIDTH / (Math.max(rows.length, LEAST) - 1);
  let pointed = null; // seconds before the end

  function tell() {
    const row = rows[rows.length - 1 - (pointed ?? 0)] ?? [];
    values.forEach((value, i) => say(value, format(row[i] ?? 0)));
    say(when, pointed === null ? '' : `${pointed} s ago`);
    mark(cursor, 'visibility', pointed === null ? 'hidden' : 'visible');
    const x = WIDTH - (pointed ?? 0) * step();
    mark(cursor, 'x1', x);
    mark(cursor, 'x2', x);
  }

  image.addEventListener('pointermove', (event) => {
    const box = image.getBoundingClientRect();
    pointed = Math.min(Math.max(Math.round(((1 - (event.clientX - box.left) / box.width) * WIDTH) / step()), 0), Math.max(rows.length - 1, 0));
    tell();
  });
  image.addEventListener('pointerleave', () => {
    pointed = null;
    tell();
  });

  function update(next) {
    rows = next;
    const most = Math.max(least, ...rows.flat()) * 1.08;
    const x = (i) => (WIDTH - (rows.length - 1 - i) * step()).toFixed(1);
    const y = (value) => (HEIGHT - 1 - (value / most) * (HEIGHT - 3)).toFixed(2);
    shapes.forEach((shape, s) => {
      const shown = s === 0 || rows.some((row) => row[s] > 0);
      const line = shown ? rows.map((row, i) => `${x(i)},${y(row[s])}`).join('L') : '';
      mark(shape.line, 'd', line && `M${line}`);
      mark(shape.area, 'd', line && series[s].kind === 'area' ? `M${x(0)},${HEIGHT}L${line}L${WIDTH},${HEIGHT}Z` : '');
    });
    say(top, format(most / 1.08));
    mark(image, 'aria-label', `${label}, last ${rows.length} seconds; now ${series.map((one, i) => `${one.name} ${format(rows.at(-1)?.[i] ?? 0)}`).join(', ')}`);
    tell();
  }
  return { node, update };
}

// spark is a chart of one line and no words.
export function spark() {
  const path = svg('path', { class: 'line main', 'vector-effect': 'non-scaling-stroke' });
  const node = svg('svg', { class: 'spark', viewBox: '0 0 60 16', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, path);
  return {
    node,
    update(values) {
      const most = Math.max(1, ...values);
      const d = values.map((value, i) => `${(60 - ((values.length - 1 - i) * 60) / Math.max(values.length - 1, 20)).toFixed(1)},${(15 - (value / most) * 14).toFixed(1)}`).join('L');
      mark(path, 'd', d && `M${d}`);
      mark(node, 'data-idle', !values.some((value) => value > 0));
    },
  };
}
