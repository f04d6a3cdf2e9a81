// What a file of tests finds around it: test, expect, request and context. Go
// calls this function once in each runtime that runs tests, with what only the
// engine can do.
(function (host) {
  'use strict';

  const describeValue = (value) => {
    if (typeof value === 'string') return JSON.stringify(value);
    if (typeof value === 'function') return value.name ? `the function ${value.name}` : 'a function';
    if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? '-0' : String(value);
    if (value instanceof RegExp || value instanceof Error || value instanceof Date) return String(value);
    return JSON.stringify(value);
  };

  // Equal in structure; a property that is undefined counts as absent.
  const equal = (a, b) => {
    if (Object.is(a, b)) return true;
    if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
    if (Array.isArray(a) !== Array.isArray(b)) return false;
    if (a instanceof RegExp || a instanceof Date || a instanceof Error) {
      return Object.getPrototypeOf(a) === Object.getPrototypeOf(b) && String(a) === String(b);
    }
    if (Array.isArray(a) && a.length !== b.length) return false;
    return Object.keys({ ...a, ...b }).every((key) => equal(a[key], b[key]));
  };

  // Every property of part is in whole, at every depth.
  const matches = (whole, part) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return equal(whole, part);
    return typeof whole === 'object' && whole !== null && Object.keys(part).every((key) => matches(whole[key], part[key]));
  };

  const thrownBy = (f) => {
    if (typeof f !== 'function') throw new TypeError('toThrow takes a function: expect(() => route(...)).toThrow()');
    try {
      f();
    } catch (error) {
      return { error };
    }
    return null;
  };

  const messageOf = (error) => (error instanceof Error ? error.message : String(error));

  const fits = (text, pattern) => (pattern instanceof RegExp ? pattern.test(text) : text.includes(pattern));

  // Each gives whether it holds and what is expected; what came is the value, unless it says otherwise.
  const matchers = {
    toBe: (got, want) => [Object.is(got, want), describeValue(want)],
    toEqual: (got, want) => [equal(got, want), describeValue(want)],
    toMatchObject: (got, want) => [matches(got, want), `at least ${describeValue(want)}`],
    toMatch: (got, want) => [typeof got === 'string' && fits(got, want), `a text with ${describeValue(want)}`],
    toContain: (got, want) => [got !== null && got !== undefined && typeof got.includes === 'function' && got.includes(want), `something with ${describeValue(want)}`],
    toHaveLength: (got, want) => [got !== null && got !== undefined && got.length === want, `a length of ${want}`],
    toBeNull: (got) => [got === null, 'null'],
    toBeUndefined: (got) => [got === undefined, 'undefined'],
    toBeDefined: (got) => [got !== undefined, 'something'],
    toBeTruthy: (got) => [Boolean(got), 'something true'],
    toBeFalsy: (got) => [!got, 'something false'],
    toBeGreaterThan: (got, want) => [got > want, `more than ${want}`],
    toBeGreaterThanOrEqual: (got, want) => [got >= want, `${want} or more`],
    toBeLessThan: (got, want) => [got < want, `less than ${want}`],
    toBeLessThanOrEqual: (got, want) => [got <= want, `${want} or less`],
    toBeCloseTo: (got, want, digits = 2) => [Math.abs(got - want) < 10 ** -digits / 2, `${want}, to ${digits} digits`],
    toThrow: (f, want) => {
      const thrown = thrownBy(f);
      const got = thrown ? `it throws ${describeValue(thrown.error)}` : 'it throws nothing';
      if (want === undefined) return [thrown !== null, 'an exception', got];
      return [thrown !== null && fits(messageOf(thrown.error), want), `an exception with ${describeValue(want)}`, got];
    },
  };

  const expect = (value) => {
    const checks = { not: {} };
    for (const [name, matcher] of Object.entries(matchers)) {
      checks[name] = (...want) => {
        const [holds, expected, got = describeValue(value)] = matcher(value, ...want);
        if (!holds) host.fail(name, expected, got);
      };
      checks.not[name] = (...want) => {
        const [holds, expected, got = describeValue(value)] = matcher(value, ...want);
        if (holds) host.fail(`not.${name}`, `not ${expected}`, got);
      };
    }
    return checks;
  };

  const only = (what, options, known) => {
    if (options === null || typeof options !== 'object') throw new TypeError(`${what} takes an object of options`);
    for (const key of Object.keys(options)) {
      if (!known.includes(key)) throw new TypeError(`${what} has no option ${JSON.stringify(key)}; it has ${known.join(', ')}`);
    }
  };

  const listOf = (value) => (Array.isArray(value) ? value : [value]);

  const request = (line, options = {}) => {
    only('request', options, ['headers', 'host', 'ip', 'id', 'listener', 'subject']);
    const fields = [];
    for (const [name, values] of Object.entries(options.headers || {})) {
      for (const value of listOf(values)) fields.push(name, String(value));
    }
    const { host: authority = '', ip = '', id = '', listener = '', subject = '' } = options;
    return host.request(String(line), fields, authority, ip, id, listener, subject);
  };

  const context = (options = {}) => {
    only('context', options, ['down', 'data', 'env', 'now']);
    const { down = [], now = 0 } = options;
    const given = {};
    for (const key of ['data', 'env']) {
      if (key in options) given[key] = { value: freeze(JSON.parse(JSON.stringify(options[key]))), enumerable: true };
    }
    const ms = now instanceof Date ? now.getTime() : typeof now === 'string' ? Date.parse(now) : now;
    if (typeof ms !== 'number' || Number.isNaN(ms)) throw new TypeError(`context: ${describeValue(now)} is no time`);
    return host.context(given, listOf(down).map(String), ms);
  };

  const freeze = (value) => {
    if (typeof value === 'object' && value !== null) Object.values(value).forEach(freeze);
    return Object.freeze(value);
  };

  let prefix = '';
  const test = (name, run) => {
    if (typeof run !== 'function') throw new TypeError('test takes a name and a function');
    host.test(prefix + String(name), run);
  };
  const describe = (name, define) => {
    const outer = prefix;
    prefix += `${name}: `;
    try {
      define();
    } finally {
      prefix = outer;
    }
  };

  return { test, it: test, describe, expect, request, context };
});
