// A real OpenID provider for tests: opaque and signed access tokens, introspection, revocation, DPoP (RFC 9449) and tokens bound to certificates
// (RFC 8705).
//
// node server.mjs SETTINGS, where SETTINGS is a JSON file:
//   modules   the folder `node_modules` with oidc-provider
//   port      where it listens, on 127.0.0.1
//   tls       {port, key, cert}: where it listens for clients that show a certificate, whoever signed it; files in PEM
//   secret    of every client
//   keys      the public keys (JWK) of the client `lakegate-key`
//   signed_in where a login ends

import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { Provider } = await import(pathToFileURL(join(settings.modules, 'oidc-provider/lib/index.js')));

const issuer = `http://127.0.0.1:${settings.port}`;
const signing = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });

const program = (id, more = {}) => ({
  client_id: id, client_secret: settings.secret, token_endpoint_auth_method: 'client_secret_post', grant_types: ['client_credentials'],
  redirect_uris: [], response_types: [], ...more,
});

const provider = new Provider(issuer, {
  clients: [
    program('program'),
    program('program-dpop', { dpop_bound_access_tokens: true }),
    program('program-mtls', { tls_client_certificate_bound_access_tokens: true }),
    program('lakegate', { token_endpoint_auth_method: 'client_secret_basic' }),
    program('lakegate-post'),
    program('lakegate-key', { client_secret: undefined, token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256',
      jwks: { keys: settings.keys } }),
    { client_id: 'notebook', application_type: 'native', token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: [settings.signed_in], response_types: ['code'] },
  ],
  jwks: { keys: [{ ...signing, kid: 'oidc-1', use: 'sig', alg: 'RS256' }] },
  cookies: { keys: [randomBytes(16).toString('hex')] },
  // whoever signs in is whom they say, and an ML engineer
  findAccount: async (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  extraTokenClaims: async () => ({ groups: ['ml-engineers'] }),
  pkce: { required: () => false },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    dPoP: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      getCertificate(ctx) {
        const shown = ctx.socket.getPeerCertificate?.()?.raw;
        return shown ? new X509Certificate(shown).toString() : undefined;
      },
    },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: async (ctx, resource) => ({
        scope: 'query', audience: 'lakegate', accessTokenTTL: 600, accessTokenFormat: resource === 'urn:lakegate:signed' ? 'jwt' : 'opaque',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});
provider.on('server_error', (ctx, error) => console.error(error));

createHttps({ key: readFileSync(settings.tls.key), cert: readFileSync(settings.tls.cert), requestCert: true, rejectUnauthorized: false }, provider.callback())
  .listen(settings.tls.port, '127.0.0.1', () => createHttp(provider.callback()).listen(settings.port, '127.0.0.1'));
