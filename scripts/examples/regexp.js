// By a regular expression. Begin it with ^: such ones take linear time, whatever
// path a client makes up. What it captures becomes a part of the new path.
const USER = /^\/users\/([0-9]+)\/avatar$/;

export default defineRoute((req) => {
  const user = USER.exec(req.path);
  return user ? { cluster: 'two', path: '/avatars/' + user[1] + '.png', rule: 'avatar' } : 'one';
});
