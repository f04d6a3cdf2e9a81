test('one user is always on the same side', () => {
  const of = (user) => route(request('GET /', { headers: { Cookie: 'user=' + user } }));
  expect(of('ann')).toEqual(of('ann'));
  expect(of('ann').hashKey).toBe('ann');
});

test('who has no cookie is known by the address', () => {
  expect(route(request('GET /', { ip: '192.0.2.9' })).hashKey).toBe('192.0.2.9');
});
