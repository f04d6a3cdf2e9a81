// Two requests of one browser: the first is drawn, and the cookie that it is told
// brings the second to the same side.
const ask = (headers) => route(request('GET /', { headers }));

test('who was drawn stays', () => {
  const sides = new Set();
  for (let i = 0; i < 200; i++) {
    const first = ask({});
    const told = first.responseHeaders['Set-Cookie'];
    const [pair] = told.split(';');
    const second = ask({ Cookie: pair });
    expect(second.cluster ?? second).toEqual(pair === 'canary=on' ? ['two', 'one'] : 'one');
    expect(second.responseHeaders).toBe(undefined);
    sides.add(pair);
  }
  expect([...sides].sort()).toEqual(['canary=off', 'canary=on']);
});
