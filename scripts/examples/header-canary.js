// A canary: testers choose it with a header, everybody else is drawn by a cookie.
// The same user is always on the same side, on every sidecar and after a restart,
// because ctx.hash gives the same number for the same text everywhere.
const SHARE = 0.05; // of the users

function route(req, ctx) {
  const wish = req.headers.get('x-canary');
  if (wish === 'always') return { cluster: 'two', rule: 'asked for' };
  if (wish === 'never') return { cluster: 'one', rule: 'declined' };

  const user = req.cookies.get('user') || req.ip;
  // The salt makes this draw independent of other ones on the same users.
  return ctx.hash('canary-1:' + user) < SHARE ? { cluster: 'two', rule: 'drawn' } : 'one';
}
