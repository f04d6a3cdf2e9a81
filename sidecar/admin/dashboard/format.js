// Numbers as one reads them.

export function rate(perSecond) {
  if (!perSecond) return '0';
  if (perSecond < 10) return perSecond.toFixed(1);
  if (perSecond < 10_000) return Math.round(perSecond).toLocaleString('en');
  return (perSecond / 1000).toFixed(1) + 'k';
}

export function millis(ms) {
  if (!ms) return '–';
  if (ms < 1) return ms.toFixed(2) + ' ms';
  if (ms < 10) return ms.toFixed(1) + ' ms';
  if (ms < 1000) return Math.round(ms) + ' ms';
  return (ms / 1000).toFixed(ms < 10_000 ? 2 : 1) + ' s';
}

export function share(part, all) {
  if (!all || !part) return '0 %';
  const percent = (100 * part) / all;
  return (percent < 0.1 ? '< 0.1' : percent < 10 ? percent.toFixed(1) : Math.round(percent)) + ' %';
}

export const count = (n) => (n ?? 0).toLocaleString('en');

export function span(seconds) {
  if (seconds < 10) return seconds.toFixed(1) + ' s';
  if (seconds < 120) return Math.round(seconds) + ' s';
  if (seconds < 7200) return Math.round(seconds / 60) + ' min';
  if (seconds < 172_800) return Math.round(seconds / 3600) + ' h';
  return Math.round(seconds / 86_400) + ' days';
}

export const since = (time, now) => (time ? span(Math.max(0, (now - new Date(time)) / 1000)) : '–');

export const clock = (time) => new Date(time).toLocaleTimeString('en-GB');

export const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;
