// Where each request goes: the name of a cluster, 'one' or 'two'. Save a change and
// it is active within a second; the demo's terminal tells.
//
// Try this, too:
//   if (req.path === '/teapot') return { respond: { status: 418, body: 'short and stout' } };
//   if (req.headers.get('x-beta')) return 'one';
//   return ctx.clusters.one.healthy > 1 ? 'one' : 'two';
function route(req, ctx) {
  return req.path.startsWith('/one/') ? 'one' : 'two';
}
