// A table of path prefixes. The longest prefix that fits wins, so the order in
// which they are written does not matter.
const table = {
  '/one/': 'one',
  '/one/archive/': 'two',
  '/assets/': 'one',
};

// Sorted once, when the script is loaded, not for each request.
const routes = Object.entries(table).sort(([a], [b]) => b.length - a.length);

function route(req) {
  const hit = routes.find(([prefix]) => req.path.startsWith(prefix));
  return hit ? { cluster: hit[1], rule: hit[0] } : 'two';
}
