import fc from 'fast-check';
import { createLocalJWKSet, type JWTPayload } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { authSchema } from '../../schemas/config/auth.ts';
import { usersSchema } from '../../schemas/config/users.ts';
import { TestClock } from '../../test/helpers/clock.ts';
import { type SigningKey, signingKey } from '../../test/helpers/issuer.ts';
import { identityOfToken } from './json-web-token.ts';
import { KnownUsers } from './known-users.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const EXP = NOW / 1000 + 60;
let key: SigningKey;

beforeAll(async () => {
  key = await signingKey('k');
});

const users = new KnownUsers(
  usersSchema.parse({
    users: [
      { id: 'alice', tenant: 'acme', team: 'data', department: 'rnd', role: 'developer', projects: ['p1'] },
      { id: 'bob' },
    ],
  }),
);

async function ask(claims: JWTPayload, settings: object = {}, now = NOW, header = {}) {
  const { authentication: auth } = authSchema.parse({ authentication: { method: 'jwt', ...settings } });
  const refused: string[] = [];
  const identity = await identityOfToken(await key.sign(claims, header), {
    auth,
    users,
    clock: new TestClock(now),
    findKey: createLocalJWKSet({ keys: [key.public] }),
    refused: (why) => refused.push(why),
  });
  expect(refused).toHaveLength(identity ? 0 : 1);
  return identity;
}

const CLAIMS = { tenant_claim: 'org', role_claim: 'https://example.com/role' };

describe('a token is of', () => {
  const file = { user_id: 'alice', tenant_id: 'acme', team_id: 'data', department_id: 'rnd', role: 'developer' };
  const jwt = { type: 'user', credentialId: 'jwt' };

  test.each<[string, JWTPayload, object, object]>([
    ['a user of users.yaml', { sub: 'alice' }, {}, { ...jwt, bound: file, projects: ['p1'] }],
    ['a user of whom nothing is known', { sub: 'carol' }, {}, { ...jwt, bound: { user_id: 'carol' } }],
    [
      'what the claims say, before the file',
      { sub: 'alice', org: 'globex', 'https://example.com/role': 'admin' },
      CLAIMS,
      { ...jwt, bound: { ...file, tenant_id: 'globex', role: 'admin' }, projects: ['p1'] },
    ],
    [
      'what the file says, where the claims do not',
      { sub: 'alice' },
      CLAIMS,
      { ...jwt, bound: file, projects: ['p1'] },
    ],
    [
      'an unknown user with claims',
      { sub: 'carol', org: 'globex' },
      CLAIMS,
      { ...jwt, bound: { user_id: 'carol', tenant_id: 'globex' } },
    ],
    [
      'the user in another claim',
      { sub: 'x', email: 'bob' },
      { user_id_claim: 'email' },
      { ...jwt, bound: { user_id: 'bob' } },
    ],
    ['claims that are not asked for', { sub: 'bob', org: 7, role: 'admin' }, {}, { ...jwt, bound: { user_id: 'bob' } }],
    ['a name of 256 bytes', { sub: 'ä'.repeat(128) }, {}, { ...jwt, bound: { user_id: 'ä'.repeat(128) } }],
  ])('%s', async (_, claims, settings, identity) => {
    expect(await ask({ exp: EXP, ...claims }, settings)).toEqual(identity);
  });

  test.each<[string, Record<string, unknown>, object]>([
    ['no sub', {}, {}],
    ['an empty sub', { sub: '' }, {}],
    ['a number', { sub: 7 }, { user_id_claim: 'sub' }],
    ['null', { sub: null }, {}],
    ['a list', { id: ['alice'] }, { user_id_claim: 'id' }],
    ['257 bytes', { sub: 'a'.repeat(257) }, {}],
    ['257 bytes in 129 characters', { sub: `${'ä'.repeat(128)}a` }, {}],
    ['NUL', { sub: 'a\u0000' }, {}],
    ['half a character', { sub: '\ud800' }, {}],
    ['a member that every object has', {}, { user_id_claim: 'constructor' }],
    ['a tenant that is no text', { sub: 'alice', org: ['acme'] }, CLAIMS],
    ['an empty tenant', { sub: 'alice', org: '' }, CLAIMS],
    ['roles', { sub: 'alice', 'https://example.com/role': ['admin'] }, CLAIMS],
    ['no tenant, where tokens say the tenant', { sub: 'bob' }, CLAIMS],
  ])('nobody: %s', async (_, claims, settings) => {
    expect(await ask({ exp: EXP, ...claims }, settings)).toBeUndefined();
  });
});

test('a token is in force from nbf to exp, give or take the tolerance', async () => {
  const edge = fc.integer({ min: -2, max: 2 });
  const which = fc.constantFrom('exp', 'nbf', 'neither');
  const tolerance = fc.constantFrom(0, 1, 30, 300);
  await fc.assert(
    fc.asyncProperty(which, edge, tolerance, fc.integer({ min: 0, max: 999 }), async (at, offset, skew, ms) => {
      // The clock stands at a whole second and some milliseconds, which count for nothing.
      const now = NOW + ms;
      const seconds = NOW / 1000;
      const exp = at === 'exp' ? seconds - skew + offset : seconds + 1_000;
      const nbf = at === 'nbf' ? seconds + skew + offset : seconds - 1_000;
      const inForce = at === 'neither' || (at === 'exp' ? offset > 0 : offset <= 0);
      const identity = await ask({ sub: 'bob', exp, nbf }, { clock_tolerance_seconds: skew }, now);
      expect(identity !== undefined).toBe(inForce);
    }),
  );
});

test.each<[string, Record<string, unknown>]>([
  ['no exp', {}],
  ['an exp that is text', { exp: String(EXP) }],
  ['an exp that is null', { exp: null }],
  ['an exp of 0', { exp: 0 }],
  ['an exp below 0', { exp: -1 }],
  ['an nbf that is text', { exp: EXP, nbf: '0' }],
])('a token with %s is refused', async (_, claims) => {
  expect(await ask({ sub: 'bob', ...claims } as JWTPayload)).toBeUndefined();
});
