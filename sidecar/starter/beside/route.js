/**
 * Names the cluster that a request goes to which the app makes at
 * http://127.0.0.1:6188. Clusters are in outrider.yaml. A saved change is active
 * within a second; one that does not load is refused, and the log says where.
 * README.md beside this file tells all that a script may do.
 */
export default defineRoute((req, ctx) => {
  return 'app';
});
