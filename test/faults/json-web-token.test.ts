import { createHmac } from 'node:crypto';
import {
  base64url,
  CompactSign,
  EncryptJWT,
  exportJWK,
  exportSPKI,
  type JWTHeaderParameters,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from 'jose';
import { pino } from 'pino';
import { beforeAll, describe, expect, test } from 'vitest';
import { authSchema } from '../../schemas/config/auth.ts';
import { usersSchema } from '../../schemas/config/users.ts';
import type { Identity } from '../../sidecar/identity/identity.ts';
import { KnownUsers } from '../../sidecar/identity/known-users.ts';
import { type TokenReader, tokenReader } from '../../sidecar/identity/token-reader.ts';
import { TestClock } from '../helpers/clock.ts';
import { Issuer, type SigningKey, signingKey } from '../helpers/issuer.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

/** What attackers make of tokens, with the keys of the issuer on a server on loopback. */
const clock = new TestClock();
const SECONDS = clock.now() / 1000;
const ISSUER = 'https://issuer.example';
const CLAIMS: JWTPayload = { sub: 'alice', iss: ISSUER, aud: 'sidecar', exp: SECONDS + 86_400 };
const COOLDOWN_MS = 30_000;

let rsa: SigningKey;
let ec: SigningKey;
let mallory: SigningKey;
let malloryRsa: SigningKey;
let issuer: Issuer;
let reader: TokenReader;
const said: string[] = [];

beforeAll(async () => {
  [rsa, ec, mallory, malloryRsa] = await Promise.all([
    signingKey('rsa', 'RS256'),
    signingKey('ec', 'ES256'),
    signingKey('ec', 'ES256'),
    signingKey('rsa', 'RS256'),
  ]);
  issuer = await Issuer.start(rsa, ec);
  reader = await opened(issuer);
});

async function opened(from: Issuer, settings: object = {}): Promise<TokenReader> {
  const { authentication: auth } = authSchema.parse({
    authentication: { method: 'jwt', issuer: ISSUER, audience: 'sidecar', jwks_url: from.jwksUrl, ...settings },
  });
  const users = new KnownUsers(usersSchema.parse({}));
  const log = pino({ level: 'trace' }, { write: (line) => void said.push(line) });
  const it = await tokenReader({ auth, users, configDir: await tempDir('config'), clock, log });
  atTestEnd(() => it.close());
  return it;
}

const ask = async (token: string, of = reader): Promise<Identity | undefined> => of.byToken?.(token);

const encoded = (value: object | string) => base64url.encode(typeof value === 'string' ? value : JSON.stringify(value));

/** Signed with a shared secret: with whatever an attacker knows of the public key. */
function withSecret(secret: string | Uint8Array, kid: string, alg = 'HS256'): string {
  const signed = `${encoded({ alg, kid })}.${encoded(CLAIMS)}`;
  return `${signed}.${createHmac(`sha${alg.slice(2)}`, secret)
    .update(signed)
    .digest('base64url')}`;
}

/** Signed by the issuer, whatever its header and claims look like. */
const genuine = (claims: string, header: Record<string, unknown> = {}) =>
  new CompactSign(new TextEncoder().encode(claims))
    .setProtectedHeader({ alg: 'ES256', kid: 'ec', ...header })
    .sign(ec.private);

test('a token that is right is accepted, by each kind of key', async () => {
  for (const key of [rsa, ec]) {
    const token = await key.sign(CLAIMS);
    expect(await ask(token)).toEqual({ type: 'user', credentialId: 'jwt', bound: { user_id: 'alice' } });
  }
  expect(await ask(await genuine(JSON.stringify({ ...CLAIMS, aud: ['other', 'sidecar'] })))).toBeDefined();
});

type Attack = [string, () => string | Promise<string>];

const algorithms: Attack[] = [
  ['no signature', () => new UnsecuredJWT(CLAIMS).encode()],
  [
    'no signature, and the algorithm in other letters',
    () => `${encoded({ alg: 'nOnE', kid: 'ec' })}.${encoded(CLAIMS)}.`,
  ],
  ['none, with a signature', () => `${encoded({ alg: 'none', kid: 'ec' })}.${encoded(CLAIMS)}.AAAA`],
  ['no algorithm', () => `${encoded({ kid: 'ec' })}.${encoded(CLAIMS)}.AAAA`],
  ['no algorithm that there is', () => `${encoded({ alg: 'toString', kid: 'ec' })}.${encoded(CLAIMS)}.AAAA`],
  ['a list of algorithms', () => `${encoded({ alg: ['ES256'], kid: 'ec' })}.${encoded(CLAIMS)}.AAAA`],
  ['the RSA public key as a secret, in PEM', async () => withSecret(await exportSPKI(await publicKey(rsa)), 'rsa')],
  ['the same with SHA-512', async () => withSecret(await exportSPKI(await publicKey(rsa)), 'rsa', 'HS512')],
  ['the RSA public key as a secret, as JWK', () => withSecret(JSON.stringify(rsa.public), 'rsa')],
  ['the RSA modulus as a secret', () => withSecret(base64url.decode(rsa.public.n ?? ''), 'rsa')],
  ['the algorithm of another key', () => genuineWith('RS256')],
  [
    'encryption in place of a signature',
    () =>
      new EncryptJWT(CLAIMS).setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: 'ec' }).encrypt(new Uint8Array(32)),
  ],
];

const keys: Attack[] = [
  ['another key under the name of a known one', () => mallory.sign(CLAIMS)],
  ['another RSA key', () => malloryRsa.sign(CLAIMS)],
  ['a key that is not known', () => mallory.sign(CLAIMS, { kid: 'mallory' })],
  ['a path', () => mallory.sign(CLAIMS, { kid: '../../../../dev/null' })],
  ['the empty file as a secret', () => withSecret('', '/dev/null')],
  ['a path to a known key', () => ec.sign(CLAIMS, { kid: './ec' })],
  ['SQL', () => mallory.sign(CLAIMS, { kid: "' UNION SELECT 'x" })],
  ['a name that every object has', () => mallory.sign(CLAIMS, { kid: '__proto__' })],
  ['a number', () => `${encoded({ alg: 'ES256', kid: 7 })}.${encoded(CLAIMS)}.AAAA`],
  ['a list', () => `${encoded({ alg: 'ES256', kid: ['ec'] })}.${encoded(CLAIMS)}.AAAA`],
];

const claims: Attack[] = [
  ['another audience', () => ec.sign({ ...CLAIMS, aud: 'other' })],
  ['other audiences', () => ec.sign({ ...CLAIMS, aud: ['other', 'sidecar2'] })],
  ['no audience', () => genuine(JSON.stringify({ ...CLAIMS, aud: undefined }))],
  ['a part of the audience', () => ec.sign({ ...CLAIMS, aud: 'side' })],
  ['another issuer', () => ec.sign({ ...CLAIMS, iss: 'https://mallory.example' })],
  ['an issuer that begins alike', () => ec.sign({ ...CLAIMS, iss: `${ISSUER}.mallory.example` })],
  ['an issuer with a slash more', () => ec.sign({ ...CLAIMS, iss: `${ISSUER}/` })],
  ['no issuer', () => genuine(JSON.stringify({ ...CLAIMS, iss: undefined }))],
  ['issuers', () => genuine(JSON.stringify({ ...CLAIMS, iss: [ISSUER] }))],
  ['an end that is past', () => ec.sign({ ...CLAIMS, exp: SECONDS - 31 })],
  ['no end', () => genuine(JSON.stringify({ ...CLAIMS, exp: undefined }))],
  ['a beginning to come', () => ec.sign({ ...CLAIMS, nbf: SECONDS + 31 })],
  ['two subjects', () => genuine(`{"sub":"bob",${JSON.stringify(CLAIMS).slice(1)}`)],
  [
    'two subjects, one of them written otherwise',
    () => genuine(`{"s\\u0075b":"bob",${JSON.stringify(CLAIMS).slice(1)}`),
  ],
  ['a list', () => genuine(JSON.stringify([CLAIMS]))],
  ['no JSON', () => genuine('alice')],
];

const forms: Attack[] = [
  ['nothing', () => ''],
  ['dots', () => '..'],
  ['no token', () => 'opaque-token'],
  ['two parts', async () => (await ec.sign(CLAIMS)).split('.').slice(0, 2).join('.')],
  ['four parts', async () => `${await ec.sign(CLAIMS)}.AAAA`],
  ['no signature left', async () => `${(await ec.sign(CLAIMS)).split('.').slice(0, 2).join('.')}.`],
  [
    'other claims under the signature',
    async () => {
      const [header, , signature] = (await ec.sign(CLAIMS)).split('.');
      return `${header}.${encoded({ ...CLAIMS, sub: 'bob' })}.${signature}`;
    },
  ],
  ['two keys named in the header', () => signedAs('{"alg":"ES256","kid":"mallory","kid":"ec"}')],
  ['two algorithms named in the header', () => signedAs('{"alg":"none","kid":"ec","alg":"ES256"}')],
  ['more than 8 KiB', () => ec.sign({ ...CLAIMS, padding: 'x'.repeat(8192) })],
  ['a megabyte', () => 'x'.repeat(2 ** 20)],
  ['a million dots', () => '.'.repeat(2 ** 20)],
  ['nested deeply', () => signedAs(`{"alg":"ES256","kid":"ec","x":${'['.repeat(2_000)}${']'.repeat(2_000)},"x":1}`)],
  ['something critical that is not known', () => genuineCritical({ crit: ['x'], x: 1 })],
  ['nothing critical', () => genuineCritical({ crit: [] })],
  ['something critical that is not there', () => genuineCritical({ crit: ['exp'] })],
  ['claims that are not encoded', () => genuineCritical({ crit: ['b64'], b64: false })],
];

/** A header in JSON as it is, signed by the issuer. */
async function signedAs(header: string): Promise<string> {
  const signed = `${encoded(header)}.${encoded(CLAIMS)}`;
  const bytes = new TextEncoder().encode(signed);
  const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, ec.private, bytes);
  return `${signed}.${base64url.encode(new Uint8Array(signature))}`;
}

const genuineCritical = (more: object) => signedAs(JSON.stringify({ alg: 'ES256', kid: 'ec', ...more }));
const genuineWith = (alg: string) => signedAs(JSON.stringify({ alg, kid: 'ec' }));

const publicKey = (key: SigningKey) =>
  crypto.subtle.importKey('jwk', key.public, { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, true, ['verify']);

describe.each([
  ['the algorithm', algorithms],
  ['the key', keys],
  ['the claims', claims],
  ['the form', forms],
])('refused, for %s', (_, attacks) => {
  test.each(attacks)('%s', async (_name, token) => {
    expect(await ask(await token())).toBeUndefined();
  });
});

test('what is signed by hand is refused for what it says: without that it is accepted', async () => {
  expect(await ask(await signedAs('{"alg":"ES256","kid":"ec"}'))).toBeDefined();
  expect(await ask(await signedAs('{"alg":"ES256","kid":"ec","x":[[1]],"y":{"alg":"none"}}'))).toBeDefined();
  expect(await ask(await ec.sign({ ...CLAIMS, padding: 'x'.repeat(5_000) }))).toBeDefined();
});

test('keys that a token brings with it, or names the place of, are not looked at', async () => {
  const theirs = await Issuer.start(mallory);
  const places: Record<string, unknown>[] = [
    { jku: theirs.jwksUrl },
    { x5u: `${theirs.url}/certificate.pem` },
    { jwk: mallory.public },
    { x5c: ['MIIB'] },
    { kid: theirs.jwksUrl },
    { kid: 'mallory', jku: theirs.jwksUrl, jwk: mallory.public },
    { iss: theirs.url, jku: theirs.jwksUrl },
  ];
  for (const place of places) {
    expect(await ask(await mallory.sign({ ...CLAIMS, iss: ISSUER }, place))).toBeUndefined();
    expect(await ask(await mallory.sign({ ...CLAIMS, iss: theirs.url }, place))).toBeUndefined();
  }
  expect(theirs.requests).toEqual([]);
  // One that is right may hold them all the same.
  expect(await ask(await ec.sign(CLAIMS, { jku: theirs.jwksUrl, jwk: mallory.public }))).toBeDefined();
  expect(theirs.requests).toEqual([]);
});

test('a key may be used for its own algorithm only, and a shared secret among the keys for none', async () => {
  const secret = new Uint8Array(32).fill(7);
  const its = await Issuer.start(ec);
  its.keys.push({ kty: 'oct', k: base64url.encode(secret), kid: 'shared', alg: 'HS256' });
  its.keys.push({ kty: 'oct', k: base64url.encode(secret), kid: 'unnamed' });
  const of = await opened(its);
  for (const kid of ['shared', 'unnamed', 'ec']) expect(await ask(withSecret(secret, kid), of)).toBeUndefined();
  expect(await ask(await ec.sign(CLAIMS), of)).toBeDefined();
});

test('an algorithm that the key has, but auth.yaml does not, is refused', async () => {
  const key = await signingKey('512', 'RS512');
  const its = await Issuer.start(key);
  const { alg: _, ...jwk } = key.public;
  its.keys = [jwk];
  const token = await key.sign(CLAIMS, { alg: 'RS512' });
  expect(await ask(token, await opened(its))).toBeUndefined();
  expect(await ask(token, await opened(its, { algorithms: ['RS512'] }))).toBeDefined();
});

test('several keys, and a token that names none of them, is not tried with each', async () => {
  const others = await Promise.all([signingKey('1'), signingKey('2')]);
  const of = await opened(await Issuer.start(...others));
  const [one] = others;
  const header: JWTHeaderParameters = { alg: 'ES256' };
  const nameless = await new SignJWT(CLAIMS).setProtectedHeader(header).sign(one?.private as never);
  expect(await ask(nameless, of)).toBeUndefined();
  expect(await ask(await (one as SigningKey).sign(CLAIMS), of)).toBeDefined();
});

test('RSA keys that are too short are refused', async () => {
  const short = await crypto.subtle.generateKey(
    { name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
    true,
    ['sign', 'verify'],
  );
  const its = await Issuer.start(ec);
  its.keys.push({ ...(await exportJWK(short.publicKey)), kid: 'short' });
  const signed = `${encoded({ alg: 'RS256', kid: 'short' })}.${encoded(CLAIMS)}`;
  const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', short.privateKey, new TextEncoder().encode(signed));
  expect(await ask(`${signed}.${base64url.encode(new Uint8Array(signature))}`, await opened(its))).toBeUndefined();
});

test('keys change without one token being refused', async () => {
  const its = await Issuer.start(ec);
  const of = await opened(its);
  let current = ec;
  for (let round = 0; round < 5; round++) {
    const next = await signingKey(`next ${round}`);
    // First both are published, then the new one signs, then the old one goes, with tokens of each under way.
    its.publish(current, next);
    const tokens = await Promise.all([...Array(20)].map((_, n) => (n % 2 ? next : current).sign(CLAIMS)));
    const identities = await Promise.all(tokens.map((token) => ask(token, of)));
    expect(identities.filter(Boolean)).toHaveLength(20);
    its.publish(next);
    current = next;
    clock.advance(COOLDOWN_MS);
  }
  // One at the start, and one for each new key.
  expect(its.requests).toHaveLength(6);
});

test('while the server is away known keys go on for jwks_max_age_minutes, and unknown ones ask no more than once', async () => {
  const its = await Issuer.start(ec);
  const of = await opened(its, { jwks_max_age_minutes: 10 });
  its.answer = (response) => response.writeHead(503).end();
  const attack = () =>
    Promise.all([...Array(100)].map(async (_, n) => ask(await mallory.sign(CLAIMS, { kid: `unknown ${n}` }), of)));
  expect((await attack()).filter(Boolean)).toEqual([]);
  expect((await attack()).filter(Boolean)).toEqual([]);
  // One for the unknown keys, and those by which the process itself tries again, a second after the failure at the earliest.
  expect(its.requests.length).toBeLessThan(10);
  expect(await ask(await ec.sign(CLAIMS), of)).toBeDefined();
  clock.advance(10 * 60_000);
  expect(await ask(await ec.sign(CLAIMS), of)).toBeDefined();
  clock.advance(1);
  expect(await ask(await ec.sign(CLAIMS), of)).toBeUndefined();
});

test('the log holds nothing of a token', async () => {
  const before = said.length;
  expect(await ask(await ec.sign({ ...CLAIMS, sub: 's3cret-name', aud: 's3cret-audience' }))).toBeUndefined();
  expect(await ask(await mallory.sign(CLAIMS, { kid: 's3cret-kid' }))).toBeUndefined();
  expect(await ask(await genuineCritical({ crit: ['s3cret-extension'], 's3cret-extension': 1 }))).toBeUndefined();
  expect(said.length).toBeGreaterThan(before);
  expect(said.join('')).toContain('a JSON Web Token is refused');
  expect(said.join('')).not.toMatch(/s3cret|alice|eyJ/);
});
