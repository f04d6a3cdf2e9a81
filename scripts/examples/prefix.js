// Paths by prefix. The longest prefix wins, whatever the order, and thousands cost
// as much as three. Make the map here, not inside of route: once, not per request.
const clusters = new PrefixMap({
  '/': 'two',
  '/one/': 'one',
  '/one/archive/': 'two',
});

export default defineRoute((req) => clusters.get(req.path));
