// A canary for a share of the visitors. Who was drawn is told so by a cookie, and
// stays: on the canary or off it, for as long as the browser is open.
const SHARE = 5; // in a hundred

export default defineRoute((req) => {
  const drawn = req.cookies.get('canary');
  if (drawn === 'on') return { cluster: ['two', 'one'], rule: 'canary' };
  if (drawn === 'off') return 'one';

  const lucky = Math.random() * 100 < SHARE;
  return {
    cluster: lucky ? ['two', 'one'] : 'one',
    rule: lucky ? 'canary, drawn now' : undefined,
    responseHeaders: { 'Set-Cookie': cookie('canary', lucky ? 'on' : 'off', { httpOnly: true, sameSite: 'Lax' }) },
  };
});
