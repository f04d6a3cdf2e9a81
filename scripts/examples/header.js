// By a header. Names are found in any case, and a header that is not there is null.
export default defineRoute((req) => {
  if (req.headers.get('x-stage') === 'beta') return { cluster: 'two', rule: 'beta header' };
  return 'one';
});
