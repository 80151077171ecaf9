// An OpenID Connect provider for the tests: panva's oidc-provider with its own pages for logins, which accept any
// password. The people and their groups are read from a file at each login, so that a test can change them.
//
// Arguments: the directory with node_modules, and a file with the settings.

import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { pathToFileURL } from 'node:url';

// Node.js 18, which Debian 12 has, lacks these.
globalThis.crypto ??= webcrypto;
URL.parse ??= (url, base) => (URL.canParse(url, base) ? new URL(url, base) : null);

const [modules, file] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(`${modules}/node_modules/oidc-provider/lib/index.js`));
const settings = JSON.parse(readFileSync(file));
const people = () => JSON.parse(readFileSync(settings.people));

const provider = new Provider(settings.issuer, {
  clients: [{
    client_id: 'linecamp',
    client_secret: settings.secret,
    redirect_uris: [settings.redirect_uri],
    grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
    response_types: ['code'],
  }],
  claims: { openid: ['sub'], profile: ['preferred_username'], groups: ['groups'] },
  // The claims of the scopes are in the ID token, as most providers do it.
  conformIdTokenClaims: false,
  cookies: { keys: ['only for tests'] },
  features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
  findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id, ...people()[id] }) }),
});

const [host, port] = settings.listen;
const tls = { cert: readFileSync(settings.certificate), key: readFileSync(settings.key) };
createServer(tls, provider.callback()).listen(port, host, () => console.log('provider listening'));
