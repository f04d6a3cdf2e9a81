// A maintenance page for one part of the site, answered by the sidecar itself.
// cleanPath is used where a path decides about access: '/shop/../shop/x', '//shop/x'
// and '/%73hop/x' are all the same place.
const CLOSED = '/shop/';
const OPEN_FOR = ['192.0.2.10', '192.0.2.11'];

function route(req) {
  if (req.cleanPath.startsWith(CLOSED) && !OPEN_FOR.includes(req.ip)) {
    return {
      rule: 'maintenance',
      respond: {
        status: 503,
        headers: { 'Content-Type': 'text/html; charset=utf-8', 'Retry-After': '600' },
        body: '<!doctype html><title>Back soon</title><h1>Back soon</h1><p>The shop is being worked on.</p>\n',
      },
    };
  }
  return 'one';
}
