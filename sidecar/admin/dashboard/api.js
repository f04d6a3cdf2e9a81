// What the sidecar is asked. Cookies let a browser read; to write, it sends the key
// that it was given when it was let in, which other pages can not know.

const slot = 'outrider.key';

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export const isLetIn = () => localStorage.getItem(slot) !== null;

async function answerOf(response) {
  const text = await response.text();
  let body = text;
  try {
    body = JSON.parse(text);
  } catch {
    // plain text
  }
  if (response.ok) return body;
  if (response.status === 401) localStorage.removeItem(slot);
  throw new Refused(response.status, body?.error ?? `${response.status} ${response.statusText}`);
}

export const get = async (path) => answerOf(await fetch(path, { cache: 'no-store' }));

export async function post(path, body, headers = {}) {
  const key = localStorage.getItem(slot);
  if (key) headers['Outrider-Key'] = key;
  headers['Content-Type'] = 'application/json';
  return answerOf(await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) }));
}

// lookAgain finds out whether we are still let in.
export async function lookAgain() {
  try {
    const { status } = await fetch('/tap', { method: 'HEAD' });
    if (status === 401) localStorage.removeItem(slot);
  } catch {
    // nobody answers: that may change
  }
}

async function enter(body, headers) {
  const { key } = await post('/session', body, headers);
  localStorage.setItem(slot, key);
}

export const enterByToken = (token) => enter({}, { Authorization: `Bearer ${token}` });

// enterByLink hands in the word that a link brought, and takes it out of the address.
export async function enterByLink() {
  const word = /^#in=(.+)$/.exec(location.hash)?.[1];
  if (!word) return null;
  history.replaceState(null, '', location.pathname);
  try {
    await enter({ word });
    return null;
  } catch (refused) {
    return isLetIn() ? null : refused.message;
  }
}
