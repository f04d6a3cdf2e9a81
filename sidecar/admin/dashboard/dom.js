// Everything that is shown is put in as text or as an attribute, never as markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

// el makes an element; children that are strings become text.
export const el = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);

export const svg = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

// say changes the text of a node, if it is another one.
export function say(node, text) {
  text = String(text);
  if (node.textContent !== text) node.textContent = text;
}

// mark changes an attribute, if it is another one; null takes it away.
export function mark(node, name, value) {
  if (value == null || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// keyed shows a node for each item, and keeps those it has. make(item) returns
// { node, update(item) }.
export function keyed(parent, items, keyOf, make) {
  const known = (parent.keyed ??= new Map());
  const wanted = new Set();
  let at = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    wanted.add(key);
    let row = known.get(key);
    if (!row) known.set(key, (row = make(item)));
    row.update?.(item);
    if (row.node === at) at = at.nextSibling;
    else parent.insertBefore(row.node, at);
  }
  for (const [key, row] of known) {
    if (wanted.has(key)) continue;
    row.node.remove();
    known.delete(key);
  }
}
