import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, type JWK } from 'jose';
import { type Configuration, Provider } from 'oidc-provider';
import { pino } from 'pino';
import { beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { authSchema } from '../../schemas/config/auth.ts';
import { usersSchema } from '../../schemas/config/users.ts';
import { KnownUsers } from '../../sidecar/identity/known-users.ts';
import { tokenReader } from '../../sidecar/identity/token-reader.ts';
import { signingKey } from '../helpers/issuer.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

/** A certified OpenID provider on loopback: what it publishes and issues is what `method: oauth` reads. */
const AUDIENCE = 'urn:example:sidecar';
const OTHER = 'urn:example:other';
const OPAQUE = 'urn:example:opaque';

let server: OidcServer;

interface OidcServer {
  url: string;
  requests: string[];
  /** It goes on with these keys; it signs with the first. */
  use(...keys: JWK[]): void;
  /** An access token of the client `alice` for a service. */
  token(audience: string): Promise<string>;
  down(): Promise<void>;
}

async function startOidcServer(...first: JWK[]): Promise<OidcServer> {
  let handle: RequestListener = () => {};
  const requests: string[] = [];
  const http = createServer((request, response) => {
    requests.push(request.url ?? '');
    handle(request, response);
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const use = (...keys: JWK[]) => {
    handle = new Provider(url, configuration(keys)).callback();
  };
  use(...first);
  const down = async () => {
    if (!http.listening) return;
    http.closeAllConnections();
    http.close();
    await once(http, 'close');
  };
  return { url, requests, use, down, token: (audience) => tokenFrom(url, audience) };
}

const configuration = (keys: JWK[]): Configuration => ({
  clients: [
    {
      client_id: 'alice',
      client_secret: 'a-secret-of-alice',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: 'ES256',
    },
  ],
  jwks: { keys } as NonNullable<Configuration['jwks']>,
  cookies: { keys: ['not used'] },
  ttl: { ClientCredentials: 300 },
  extraTokenClaims: () => ({ org: 'acme', role: 'developer' }),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, audience) => ({
        scope: '',
        audience,
        accessTokenTTL: 300,
        accessTokenFormat: audience === OPAQUE ? 'opaque' : 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});

async function tokenFrom(url: string, resource: string): Promise<string> {
  const response = await fetch(`${url}/token`, {
    method: 'POST',
    headers: { Authorization: `Basic ${Buffer.from('alice:a-secret-of-alice').toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource }),
  });
  const body = (await response.json()) as { access_token?: string };
  if (!body.access_token) throw new Error(`the provider gives no token, but ${JSON.stringify(body)}`);
  return body.access_token;
}

const privateKey = async (kid: string): Promise<JWK> => {
  const key = await signingKey(kid);
  return { ...key.public, ...(await exportJWK(key.private)) };
};

async function readerOf(issuer: string) {
  const said: string[] = [];
  const { authentication: auth } = authSchema.parse({
    authentication: { method: 'oauth', issuer, audience: AUDIENCE, tenant_claim: 'org', role_claim: 'role' },
  });
  const users = new KnownUsers(usersSchema.parse({ users: [{ id: 'alice', team: 'data', role: 'viewer' }] }));
  const log = pino({ level: 'warn' }, { write: (line) => void said.push(JSON.parse(line).msg) });
  const reader = await tokenReader({ auth, users, configDir: await tempDir('config'), clock: systemClock, log });
  atTestEnd(() => reader.close());
  const ask = async (token: string) => reader.byToken?.(token);
  return { ask, said };
}

const ALICE = {
  type: 'user',
  credentialId: 'jwt',
  bound: { user_id: 'alice', team_id: 'data', tenant_id: 'acme', role: 'developer' },
};

beforeEach(async () => {
  // It warns on every start that it keeps what it issues in memory.
  vi.spyOn(console, 'warn').mockReturnValue();
  server = await startOidcServer(await privateKey('first'));
  atTestEnd(() => server.down());
});

test('a token of an issuer that is found by discovery says who is calling', async () => {
  const { ask, said } = await readerOf(server.url);
  expect(await ask(await server.token(AUDIENCE))).toEqual(ALICE);
  expect(server.requests.slice(0, 2)).toEqual(['/.well-known/openid-configuration', '/jwks']);
  expect(said).toEqual([]);
});

test('a token for another service, one that is no JSON Web Token, and one of another issuer are refused', async () => {
  const { ask } = await readerOf(server.url);
  expect(await ask(await server.token(OTHER))).toBeUndefined();
  expect(await ask(await server.token(OPAQUE))).toBeUndefined();
  const other = await startOidcServer(await privateKey('first'));
  atTestEnd(() => other.down());
  expect(await ask(await other.token(AUDIENCE))).toBeUndefined();
  expect(await (await readerOf(other.url)).ask(await other.token(AUDIENCE))).toEqual(ALICE);
});

test('keys change without one token being refused, and go on while the server is away', async () => {
  const [second, third] = await Promise.all([privateKey('second'), privateKey('third')]);
  const { ask } = await readerOf(server.url);
  const old = await server.token(AUDIENCE);
  server.use(second, third);
  const many = await Promise.all(Array.from({ length: 20 }, () => server.token(AUDIENCE)));
  const before = server.requests.length;
  // The first key is no longer published, but nobody knows yet.
  expect(await ask(old)).toEqual(ALICE);
  for (const identity of await Promise.all(many.map(ask))) expect(identity).toEqual(ALICE);
  expect(server.requests.slice(before)).toEqual(['/.well-known/openid-configuration', '/jwks']);
  expect(await ask(old)).toBeUndefined();
  server.use(third);
  const next = await server.token(AUDIENCE);
  await server.down();
  expect(await ask(next)).toEqual(ALICE);
});

test('a document of another issuer than the configured one gives no keys', async () => {
  const { ask, said } = await readerOf(server.url.replace('127.0.0.1', 'localhost'));
  expect(await ask(await server.token(AUDIENCE))).toBeUndefined();
  expect(said).toEqual([
    expect.stringContaining(`is of the issuer "${server.url}", and auth.yaml says http://localhost`),
  ]);
});

test('an issuer that has no such document gives no keys', async () => {
  const { ask, said } = await readerOf(`${server.url}/realms/x`);
  expect(await ask(await server.token(AUDIENCE))).toBeUndefined();
  expect(said).toEqual([expect.stringContaining('/realms/x/.well-known/openid-configuration: the server answers 404')]);
});
