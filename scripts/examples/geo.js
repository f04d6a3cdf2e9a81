// By country, as a CDN or a proxy in front tells it in a header. Believe it only
// where nobody else can reach the sidecar: a client may send what it likes.
const EUROPE = ['AT', 'BE', 'DE', 'ES', 'FR', 'IT', 'NL', 'PL', 'SE'];

export default defineRoute((req) => {
  const country = req.headers.get('cf-ipcountry') ?? req.headers.get('x-country');
  if (country === null) return 'one';
  return { cluster: EUROPE.includes(country.toUpperCase()) ? 'two' : 'one', rule: 'country ' + country.toUpperCase() };
});
