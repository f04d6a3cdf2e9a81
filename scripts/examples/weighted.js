// A split by weight. With hashKey the same user is always on the same side, on
// every sidecar and after a restart; without it each request is drawn anew.
export default defineRoute((req) => ({
  cluster: { one: 95, two: 5 },
  hashKey: req.cookies.get('user') ?? req.ip,
}));
