// One box that tells more of what the pointer or the focus is on.

import { el } from './dom.js';

const tip = () => document.getElementById('tip');
let shownFor = null;

export function hideTip() {
  shownFor?.removeAttribute('aria-describedby');
  shownFor = null;
  tip().hidden = true;
}

export function tipFor(node, lines) {
  const show = () => {
    hideTip();
    const box = tip();
    box.replaceChildren(...lines().filter(Boolean).map((line) => el('p', null, line)));
    box.hidden = false;
    shownFor = node;
    node.setAttribute('aria-describedby', 'tip');
    place(box, node.getBoundingClientRect());
  };
  node.addEventListener('pointerenter', show);
  node.addEventListener('focus', show);
  node.addEventListener('click', show);
  node.addEventListener('pointerleave', hideTip);
  node.addEventListener('blur', hideTip);
}

// place puts the box below what it is about, or above where there is no room.
function place(box, at) {
  const margin = 8;
  const left = Math.max(margin, Math.min(at.left + at.width / 2 - box.offsetWidth / 2, document.documentElement.clientWidth - box.offsetWidth - margin));
  let top = at.bottom + margin;
  if (top + box.offsetHeight > document.documentElement.clientHeight) top = Math.max(margin, at.top - box.offsetHeight - margin);
  box.style.left = `${left}px`;
  box.style.top = `${top}px`;
}
