/**
 * Names the cluster that a request goes to. A saved change is active within a
 * second; one that does not load is refused, and the log says where. README.md
 * beside this file tells all that a script may do; rename this one to route.ts, in
 * outrider.yaml too, to write TypeScript.
 */
export default defineRoute((req, ctx) => {
  return req.path.startsWith('/one/') ? 'one' : 'two';
});
