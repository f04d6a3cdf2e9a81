// What a routing script finds around it in Outrider, for other runners: Node, Deno,
// Bun, Vitest. `outrider test` needs nothing of this.
//
//     import test from 'node:test';
//     import assert from 'node:assert';
//     import { request, context } from './testing.js';
//     import route from './route.js';
//
//     test('one', () => assert.equal(route(request('GET /one/')), 'one'));
//
// It behaves as the sidecar does, which Outrider's own tests compare. What it does
// not have is the sidecar's limits, deadline, and check of what is returned. A script
// finds PrefixMap, cookie and defineRoute among the globals, so import this first.

/**
 * A request as route sees it.
 *
 * @param {string} line method and path with query, or an absolute URL: 'GET /x?y=1'
 * @param {{ headers?: Record<string, string | string[]>, host?: string, ip?: string, id?: string, listener?: string, subject?: string }} [options]
 */
export function request(line, options = {}) {
  only('request', options, ['headers', 'host', 'ip', 'id', 'listener', 'subject']);
  const { method, scheme, authority, path, query } = parseLine(String(line));
  const fields = fieldsOf(options.headers || {});
  const sent = fields.find(([name]) => name === 'host');
  const host = options.host || authority || (sent && sent[1]) || 'localhost';
  const headers = new Map([['host', host]]);
  for (const [name, value] of fields) {
    if (name !== 'host') headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
  }
  const cleaned = cleanPath(path);
  const properties = {
    method,
    path,
    cleanPath: cleaned,
    url: `${scheme}://${withoutPort(host)}${path}${query ? `?${query}` : ''}`,
    host: withoutPort(host),
    scheme,
    ip: options.ip || '127.0.0.1',
    id: options.id || 'test',
    listener: options.listener || 'main',
    tls: encryption(scheme, withoutPort(host), options.subject || ''),
    headers: lookup('headers', (name) => headers.get(String(name).toLowerCase()), () => [...headers.keys()]),
    query: lookupOf('query', [...new URLSearchParams(`?${query}`)], true),
    cookies: lookupOf('cookies', parseCookies(headers.get('cookie') || '')),
  };
  return readOnly(properties, 'req');
}

/**
 * The surroundings of a request. Outside of Outrider nobody knows your
 * configuration: name the clusters that the script looks at, with the number of
 * their backends or their addresses.
 *
 * @param {{ clusters?: Record<string, number | string[]>, down?: string | string[], data?: any, env?: Record<string, string>, now?: number | string | Date }} [options]
 */
export function context(options = {}) {
  only('context', options, ['clusters', 'down', 'data', 'env', 'now']);
  const now = options.now === undefined ? Date.now() : new Date(options.now).getTime();
  if (Number.isNaN(now)) throw new TypeError(`context: ${options.now} is no time`);
  return Object.freeze({
    clusters: clustersOf(options.clusters || {}, [].concat(options.down || [])),
    hash,
    data: frozen(options.data),
    env: frozen(options.env || {}),
    now,
  });
}

/** The value of the longest prefix. */
export class PrefixMap {
  #sorted;

  constructor(table) {
    if (typeof table !== 'object' || table === null || Array.isArray(table)) throw new TypeError("PrefixMap takes an object such as { '/api/': 'api' }");
    this.#sorted = Object.entries(table).sort(([a], [b]) => b.length - a.length);
  }

  get(path) {
    if (typeof path !== 'string') throw new TypeError('PrefixMap.get takes a string');
    const hit = this.#sorted.find(([prefix]) => path.startsWith(prefix));
    return hit && hit[1];
  }
}

/** The value of a Set-Cookie header. */
export function cookie(name, value, options) {
  const bad = (why) => refuse(`cookie: ${why}`);
  if (typeof name !== 'string' || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) bad(`${name} is no name of a cookie`);
  if (typeof value !== 'string') bad('the value takes a string');
  if (/[^\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]/.test(value)) bad('the value has a character that no cookie can have: use encodeURIComponent');
  const { path = '/', maxAge, sameSite, secure, httpOnly } = withoutNull(options);
  only('cookie', options || {}, ['maxAge', 'path', 'sameSite', 'secure', 'httpOnly']);
  if (typeof path !== 'string' || !/^\/[\x21\x23-\x3a\x3c-\x5b\x5d-\x7e]*$/.test(path)) bad("path takes a path such as '/'");
  if (maxAge !== undefined && !Number.isInteger(maxAge)) bad('maxAge takes a whole number of seconds');
  if (sameSite !== undefined && !['Lax', 'Strict', 'None'].includes(sameSite)) bad("sameSite takes 'Lax', 'Strict' or 'None'");
  if (sameSite === 'None' && !secure) bad("sameSite 'None' needs secure: true, or browsers drop the cookie");
  const parts = [`${name}=${value}`, `Path=${path}`];
  if (maxAge !== undefined) parts.push(`Max-Age=${maxAge}`);
  if (sameSite !== undefined) parts.push(`SameSite=${sameSite}`);
  if (secure) parts.push('Secure');
  if (httpOnly) parts.push('HttpOnly');
  const whole = parts.join('; ');
  if (whole.length - 1 > 4096) bad('browsers take at most 4096 bytes');
  return whole;
}

/** The route that it is given. */
export function defineRoute(route) {
  return route;
}

for (const [name, value] of Object.entries({ PrefixMap, cookie, defineRoute })) globalThis[name] ??= value;

/** [0,1), evenly: FNV-1a over UTF-8, then MurmurHash3's fmix64, then the upper 53 bits. */
function hash(text) {
  const mask = (1n << 64n) - 1n;
  let h = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(String(text))) h = ((h ^ BigInt(byte)) * 0x100000001b3n) & mask;
  h ^= h >> 33n;
  h = (h * 0xff51afd7ed558ccdn) & mask;
  h ^= h >> 33n;
  h = (h * 0xc4ceb9fe1a85ec53n) & mask;
  h ^= h >> 33n;
  return Number(h >> 11n) / 2 ** 53;
}

function parseLine(line) {
  const [, method, target] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21\x22\x24-\x7e]+)$/.exec(line) || [];
  if (!target) throw new TypeError(`a request is a method and a path, such as GET /one/, not ${JSON.stringify(line)}`);
  const [, scheme = 'http', authority = '', rest] = /^(?:(https?):\/\/([^/?]*))?(.*)$/i.exec(target);
  const local = authority && !rest.startsWith('/') ? `/${rest}` : rest;
  if (!local.startsWith('/') && local !== '*') throw new TypeError(`the path ${JSON.stringify(target)} does not begin with a slash`);
  const mark = local.indexOf('?');
  return {
    method,
    scheme: scheme.toLowerCase(),
    authority,
    path: mark < 0 ? local : local.slice(0, mark),
    query: mark < 0 ? '' : local.slice(mark + 1),
  };
}

function fieldsOf(headers) {
  return Object.entries(headers).flatMap(([name, values]) => [].concat(values).map((value) => [name.toLowerCase(), String(value)]));
}

function withoutPort(authority) {
  const bracket = authority.indexOf(']');
  return (bracket > 0 ? authority.slice(0, bracket + 1) : authority.split(':')[0]).toLowerCase();
}

function cleanPath(path) {
  if (!path.startsWith('/') || !/%|\/\/|\/\./.test(path)) return path;
  const decoded = path.replace(/%([0-9a-f]{2})/gi, (escape, digits) => {
    const character = String.fromCharCode(parseInt(digits, 16));
    return /[A-Za-z0-9._~-]/.test(character) ? character : escape.toUpperCase();
  });
  const kept = [];
  const segments = decoded.slice(1).split('/');
  for (const segment of segments) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  const folder = kept.length > 0 && ['', '.', '..'].includes(segments[segments.length - 1]);
  return `/${kept.join('/')}${folder ? '/' : ''}`;
}

function parseCookies(header) {
  return header.split(';').flatMap((part) => {
    const pair = part.trim();
    const sign = pair.indexOf('=');
    if (sign <= 0) return [];
    const value = pair.slice(sign + 1);
    const quoted = value.length > 1 && value.startsWith('"') && value.endsWith('"');
    return [[pair.slice(0, sign), quoted ? value.slice(1, -1) : value]];
  });
}

function lookupOf(what, pairs, all = false) {
  const find = (name) => (pairs.find(([key]) => key === String(name)) || [])[1];
  const getAll = all ? { getAll: (name) => pairs.filter(([key]) => key === String(name)).map(([, value]) => value) } : {};
  return lookup(what, find, () => [...new Set(pairs.map(([name]) => name))], getAll);
}

/** Names and values behind get and has, and as properties. */
function lookup(what, find, names, more = {}) {
  const methods = { get: (name) => find(name) ?? null, has: (name) => find(name) !== undefined, ...more };
  return new Proxy(Object.create(null), {
    get: (_, key) => (typeof key === 'symbol' ? undefined : Object.hasOwn(methods, key) ? methods[key] : find(key)),
    has: (_, key) => typeof key === 'string' && find(key) !== undefined,
    ownKeys: names,
    getOwnPropertyDescriptor: (_, key) =>
      typeof key === 'string' && find(key) !== undefined ? { value: find(key), enumerable: true, configurable: true } : undefined,
    set: (_, key) => refuse(`req.${what} is read-only: cannot set ${JSON.stringify(String(key))}`),
    deleteProperty: (_, key) => refuse(`req.${what} is read-only: cannot delete ${JSON.stringify(String(key))}`),
  });
}

function readOnly(properties, what) {
  return new Proxy(properties, {
    set: (_, key) => refuse(`${what} is read-only: cannot set ${what}.${String(key)}`),
    deleteProperty: (_, key) => refuse(`${what} is read-only: cannot delete ${what}.${String(key)}`),
  });
}

function encryption(scheme, serverName, subject) {
  if (scheme === 'https') return Object.freeze({ version: '1.3', serverName, subject, names: [] });
  if (subject) throw new TypeError('only a client that speaks TLS shows a certificate: write the request with an https:// URL, or leave the subject out');
  return null;
}

function refuse(message) {
  throw new TypeError(message);
}

function clustersOf(clusters, down) {
  const made = Object.create(null);
  for (const [name, backends] of Object.entries(clusters)) {
    const total = Array.isArray(backends) ? backends.length : backends;
    const out = new Set(down.filter((what) => what.startsWith(`${name}/`)));
    made[name] = Object.freeze({ name, healthy: down.includes(name) ? 0 : Math.max(0, total - out.size), total });
  }
  const unknown = down.find((what) => made[what.split('/')[0]] === undefined);
  if (unknown) throw new TypeError(`context: ${JSON.stringify(unknown)} is down, but is none of the clusters; name them: context({ clusters: { one: 2 } })`);
  return Object.freeze(made);
}

function frozen(value) {
  if (value === undefined) return undefined;
  const freeze = (v) => {
    if (typeof v === 'object' && v !== null) Object.values(v).forEach(freeze);
    return Object.freeze(v);
  };
  return freeze(JSON.parse(JSON.stringify(value)));
}

function withoutNull(options) {
  if (options !== undefined && options !== null && typeof options !== 'object') refuse('cookie: the options are an object');
  return Object.fromEntries(Object.entries(options || {}).filter(([, value]) => value !== null));
}

function only(what, options, known) {
  const wrong = Object.keys(options).find((key) => !known.includes(key));
  if (wrong) throw new TypeError(`${what} has no option ${JSON.stringify(wrong)}; it has ${known.join(', ')}`);
}
