// Colours for a script. Not a parser: what it takes for something else is merely grey.

import { el } from './dom.js';

const forms = new RegExp([
  /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$))/,
  /(?<string>'(?:[^'\\\n]|\\.)*'?|"(?:[^"\\\n]|\\.)*"?|`(?:[^`\\]|\\.)*`?)/,
  /(?<regexp>(?<=(?:^|[=(,:;!&|?{}[\]]|return)[ \t]*)\/(?![/*])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*)/,
  /(?<number>\b(?:0x[\da-f]+|\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?)\b)/,
  /(?<keyword>\b(?:async|await|break|case|catch|class|const|continue|default|delete|do|else|export|extends|finally|for|function|if|import|in|instanceof|let|new|of|return|switch|this|throw|try|typeof|var|while|yield|type|interface|as)\b)/,
  /(?<atom>\b(?:true|false|null|undefined|NaN|Infinity)\b)/,
].map((form) => form.source).join('|'), 'gi');

const LONGEST = 60_000; // characters

// colour puts the text into a node, in colours.
export function colour(node, text) {
  if (text.length > LONGEST) {
    node.replaceChildren(text);
    return;
  }
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(forms)) {
    const [kind] = Object.entries(match.groups).find(([, value]) => value !== undefined);
    if (match.index > at) parts.push(text.slice(at, match.index));
    parts.push(el('span', { class: `hl-${kind}` }, match[0]));
    at = match.index + match[0].length;
  }
  parts.push(text.slice(at));
  node.replaceChildren(...parts);
}
