import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JWTPayload } from 'jose';
import { pino } from 'pino';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { authSchema } from '../../schemas/config/auth.ts';
import { usersSchema } from '../../schemas/config/users.ts';
import { TestClock } from '../../test/helpers/clock.ts';
import { eventually } from '../../test/helpers/eventually.ts';
import { Issuer, type SigningKey, signingKey } from '../../test/helpers/issuer.ts';
import { tempDir } from '../../test/helpers/temp-dir.ts';
import { atTestEnd } from '../../test/helpers/test-end.ts';
import { KnownUsers } from './known-users.ts';
import { tokenReader } from './token-reader.ts';

const clock = new TestClock();
const CLAIMS: JWTPayload = { sub: 'alice', exp: clock.now() / 1000 + 60 };
const nobody = new KnownUsers(usersSchema.parse({}));
const authOf = (settings: object) => authSchema.parse({ authentication: settings }).authentication;
const jwks = (...keys: SigningKey[]) => JSON.stringify({ keys: keys.map((key) => key.public) });

let one: SigningKey;
let two: SigningKey;
let configDir: string;

beforeAll(async () => {
  [one, two] = await Promise.all([signingKey('1'), signingKey('2')]);
});

beforeEach(async () => {
  configDir = await tempDir('config');
});

async function opened(settings: object) {
  const said: { level: number; msg: string }[] = [];
  const log = pino({ base: null }, { write: (line) => void said.push(JSON.parse(line)) });
  const reader = await tokenReader({ auth: authOf(settings), users: nobody, configDir, clock, log });
  atTestEnd(() => reader.close());
  const userOf = async (key: SigningKey) => (await reader.byToken?.(await key.sign(CLAIMS)))?.bound.user_id;
  const errors = () => said.filter(({ level }) => level >= 50).map(({ msg }) => msg);
  return { reader, userOf, said, errors };
}

/** As an operator's tool does it: at once, or not at all. */
async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

describe('the file of keys', () => {
  test('is found by itself, and read again when it has changed', async () => {
    const file = join(configDir, 'jwks.json');
    await writeFile(file, jwks(one));
    const { userOf } = await opened({ method: 'jwt' });
    expect(await userOf(one)).toBe('alice');
    await replace(file, jwks(two));
    await eventually(async () => expect(await userOf(one)).toBeUndefined());
    expect(await userOf(two)).toBe('alice');
  });

  test('may be named, relative to the folder or not', async () => {
    await writeFile(join(configDir, 'keys.json'), jwks(one));
    for (const jwks_file of ['keys.json', join(configDir, 'keys.json')]) {
      const { userOf } = await opened({ method: 'jwt', jwks_file });
      expect(await userOf(one)).toBe('alice');
    }
  });

  test('is read at once at a reload; one that is broken or gone leaves the keys as they are', async () => {
    const file = join(configDir, 'jwks.json');
    await writeFile(file, jwks(one));
    const { reader, said, userOf } = await opened({ method: 'jwt' });
    const reload = () => reader.reload({ auth: authOf({ method: 'jwt' }), users: nobody });
    await replace(file, '{"keys":[');
    await reload();
    expect(await userOf(one)).toBe('alice');
    expect(said.at(-1)?.msg).toBe(`${file}: it is not JSON; the keys that are known go on`);
    await rm(file);
    await reload();
    expect(await userOf(one)).toBe('alice');
    await replace(file, jwks(two));
    await reload();
    expect([await userOf(one), await userOf(two)]).toEqual([undefined, 'alice']);
  });
});

describe('with no keys at all', () => {
  test('as auth.yaml is printed: it is said once, no token is accepted, and a file that comes is used', async () => {
    const printed = { enabled: true, method: 'jwt', require_auth: true, user_id_claim: 'sub' };
    const { errors, reader, userOf } = await opened(printed);
    expect(reader.byToken).toBeDefined();
    expect(await userOf(one)).toBeUndefined();
    await reader.reload({ auth: authOf(printed), users: nobody });
    expect(errors()).toEqual([
      expect.stringContaining(
        `there is no ${join(configDir, 'jwks.json')}: put them there, or set jwks_file, jwks_url`,
      ),
    ]);
    await replace(join(configDir, 'jwks.json'), jwks(one));
    await eventually(async () => expect(await userOf(one)).toBe('alice'));
  });

  test.each<[string, string]>([
    ['missing.json', 'there is no such file, and auth.yaml names it as jwks_file'],
    ['.', 'is no file'],
  ])('because jwks_file is %s', async (jwks_file, why) => {
    const { errors, userOf } = await opened({ method: 'jwt', jwks_file });
    expect(await userOf(one)).toBeUndefined();
    expect(errors()).toEqual([expect.stringContaining(why)]);
  });
});

test.each([{ enabled: false, method: 'jwt' }, { method: 'api_key' }])('no token is read with %j', async (settings) => {
  const { reader, said } = await opened(settings);
  expect(reader.byToken).toBeUndefined();
  expect(said).toEqual([]);
});

test('what is logged holds no password of a URL', async () => {
  const { errors } = await opened({ method: 'jwt', jwks_url: 'http://user:s3cret@127.0.0.1:1/jwks?key=s3cret' });
  expect(errors()).toEqual([expect.stringMatching(/^http:\/\/127.0.0.1:1\/jwks: the server cannot be asked; /)]);
});

test('an audience that is not named is warned of', async () => {
  await writeFile(join(configDir, 'jwks.json'), jwks(one));
  const { said } = await opened({ method: 'jwt' });
  expect(said[0]?.msg).toContain('names no audience');
  expect((await opened({ method: 'jwt', audience: 'a' })).said.map(({ level }) => level)).toEqual([30]);
});

describe('at a reload', () => {
  test('the rules and users change, and keys of a server that is away stay', async () => {
    const issuer = await Issuer.start(one);
    const settings = { method: 'jwt', jwks_url: issuer.jwksUrl };
    const { reader, userOf } = await opened(settings);
    await issuer.down();
    const users = new KnownUsers(usersSchema.parse({ users: [{ id: 'alice', team: 'data' }] }));
    await reader.reload({ auth: authOf({ ...settings, role_claim: 'sub' }), users });
    expect(await reader.byToken?.(await one.sign(CLAIMS))).toMatchObject({ bound: { team_id: 'data', role: 'alice' } });
    await reader.reload({ auth: authOf({ ...settings, audience: 'another' }), users });
    expect(await userOf(one)).toBeUndefined();
  });

  test('keys from elsewhere take the place of those before', async () => {
    const [here, there] = await Promise.all([Issuer.start(one), Issuer.start(two)]);
    const { reader, userOf } = await opened({ method: 'jwt', jwks_url: here.jwksUrl });
    await reader.reload({ auth: authOf({ method: 'jwt', jwks_url: there.jwksUrl }), users: nobody });
    expect([await userOf(one), await userOf(two)]).toEqual([undefined, 'alice']);
    const asked = here.requests.length;
    await reader.reload({ auth: authOf({ method: 'api_key' }), users: nobody });
    expect(reader.byToken).toBeUndefined();
    await reader.reload({ auth: authOf({ method: 'jwt', jwks_url: there.jwksUrl }), users: nobody });
    expect(await userOf(two)).toBe('alice');
    expect(here.requests).toHaveLength(asked);
  });

  test('keys that are no longer used are no longer read', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { reader } = await opened({ method: 'jwt', jwks_file: 'a.json' });
    expect(vi.getTimerCount()).toBe(1);
    await reader.reload({ auth: authOf({ method: 'jwt', jwks_file: 'a.json' }), users: nobody });
    expect(vi.getTimerCount()).toBe(1);
    await reader.reload({ auth: authOf({ method: 'jwt', jwks_file: 'b.json' }), users: nobody });
    expect(vi.getTimerCount()).toBe(1);
    await reader.reload({ auth: authOf({ method: 'api_key' }), users: nobody });
    expect(vi.getTimerCount()).toBe(0);
  });
});
