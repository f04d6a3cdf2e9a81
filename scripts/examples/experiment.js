// An A/B experiment that is run from a file: script.data names it, ctx.data is what
// it says, and a changed file is active within a second:
//
//     { "name": "checkout-2", "share": 0.5, "paths": ["/checkout/"] }
export default defineRoute((req, ctx) => {
  const { name, share, paths } = ctx.data;
  if (!paths.some((path) => req.path.startsWith(path))) return 'one';

  // The name is in the draw: other experiments divide the same users otherwise.
  const user = req.cookies.get('user') ?? req.ip;
  const side = ctx.hash(name + ':' + user) < share ? 'b' : 'a';
  return {
    cluster: side === 'b' ? 'two' : 'one',
    rule: name + ' ' + side,
    requestHeaders: { 'X-Experiment': name + '=' + side },
  };
});
