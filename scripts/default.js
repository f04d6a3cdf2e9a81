// Outrider's built-in rule. Without a script of your own the sidecar routes
// exactly like this; the README beside this file tells what a script may do.
function route(req) {
  return req.path.startsWith('/one/') ? 'one' : 'two';
}
