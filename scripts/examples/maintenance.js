// A maintenance page for one part of the site, answered by the sidecar itself; those
// who work on it come through.
const CLOSED = '/shop/';
const OPEN_FOR = ['192.0.2.10', '192.0.2.11'];

const page = {
  status: 503,
  headers: { 'Content-Type': 'text/html; charset=utf-8', 'Retry-After': '600' },
  body: '<!doctype html><title>Back soon</title><h1>Back soon</h1><p>The shop is being worked on.</p>\n',
};

export default defineRoute((req) => {
  if (!req.cleanPath.startsWith(CLOSED) || OPEN_FOR.includes(req.ip)) return 'one';
  return { rule: 'maintenance', respond: page };
});
