// What is shown in the place of what a browser may not see that was not let in.

import { enterByToken } from './api.js';
import { el, say } from './dom.js';

const waiting = new Set();

// letIn makes a form for the token; then is called when any of them has let us in.
export function letIn(why, then) {
  const token = el('input', { type: 'password', autocomplete: 'off', 'aria-label': 'admin token', placeholder: 'or paste the admin token' });
  const refused = el('p', { class: 'bad', role: 'alert' });
  const form = el('form', null, token, el('button', null, 'Let me in'));
  waiting.add(then);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      await enterByToken(token.value.trim());
      token.value = '';
      say(refused, '');
      for (const one of waiting) one();
    } catch (error) {
      say(refused, error.message);
    }
  });
  return el('div', { class: 'card letin' }, el('p', null, why), el('p', null, 'Open the link that ', el('code', null, 'outrider dashboard'), ' prints,'), form, refused);
}
