// The rule of scripts/default.js for nginx's own JavaScript (njs): js_set asks it which upstream is meant.
function route(r) {
    return r.uri.startsWith('/one/') ? 'one' : 'two';
}

export default { route };
