// A version of an API, by ?v=2 or, where there is none, by the Accept header. The
// backend gets it as a header of its own.
export default defineRoute((req) => {
  const version = req.query.get('v') ?? (req.headers.get('accept')?.includes('vnd.shop.v2') ? '2' : '1');
  if (version !== '1' && version !== '2') {
    return { respond: { status: 400, headers: { 'Content-Type': 'text/plain' }, body: 'There are the versions 1 and 2.\n' } };
  }
  return { cluster: version === '2' ? 'two' : 'one', requestHeaders: { 'X-Api-Version': version } };
});
