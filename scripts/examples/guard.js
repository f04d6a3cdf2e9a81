// A guard. Decide about access by cleanPath: '/public/../admin', '//admin' and
// '/%61dmin' are all '/admin' to it, and to many a backend.
const TRUSTED = ['10.0.0.5', '10.0.0.6'];

export default defineRoute((req) => {
  const admin = req.cleanPath === '/admin' || req.cleanPath.startsWith('/admin/');
  if (admin && !TRUSTED.includes(req.ip)) {
    return { rule: 'not for everybody', respond: { status: 403, body: 'This is not for everybody.\n' } };
  }
  return 'one';
});
