// Fallback: a list goes to its first cluster that has a usable backend. Reads may
// go elsewhere when their own cluster is down; writes may not. With fewer than half
// of the backends left, what can wait is asked to come again later.
const READS = ['GET', 'HEAD', 'OPTIONS'];

export default defineRoute((req, ctx) => {
  if (READS.includes(req.method)) return ['one', 'two'];

  const { healthy, total } = ctx.clusters.one;
  if (healthy * 2 < total && req.headers.get('x-priority') === 'low') {
    return { rule: 'shed', respond: { status: 503, headers: { 'Retry-After': '5' }, body: 'Try again in a moment.\n' } };
  }
  return 'one';
});
