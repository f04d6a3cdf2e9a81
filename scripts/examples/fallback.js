// Fallback: a list goes to its first cluster that has a usable backend. Reads may
// go elsewhere when their own cluster is down; writes may not.
const SAFE = ['GET', 'HEAD', 'OPTIONS'];

function route(req, ctx) {
  if (SAFE.includes(req.method)) return ['one', 'two'];

  // Fewer than half of the backends left: shed what can be tried again later.
  const { healthy, total } = ctx.clusters.one;
  if (healthy * 2 < total && req.headers.get('x-priority') === 'low') {
    return { rule: 'shed', respond: { status: 503, headers: { 'Retry-After': '5' }, body: 'Try again in a moment.\n' } };
  }
  return 'one';
}
