import { errors, jwtVerify } from 'jose';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { TestClock } from '../../test/helpers/clock.ts';
import { eventually } from '../../test/helpers/eventually.ts';
import { Issuer, type SigningKey, signingKey } from '../../test/helpers/issuer.ts';
import { atTestEnd } from '../../test/helpers/test-end.ts';
import { getText } from './get-text.ts';
import { KeySet, type KeyTiming } from './key-set.ts';

/** Longer than a test. */
const NEVER = 10 ** 9;
const COOLDOWN_MS = 30_000;
const MAX_AGE_MS = 3_600_000;
/** Nothing is read but what a test asks for. */
const ASKED: KeyTiming = { everyMs: NEVER, retryMs: NEVER, cooldownMs: COOLDOWN_MS, maxAgeMs: MAX_AGE_MS };

async function opened(issuer: Issuer, timing: Partial<KeyTiming> = {}) {
  const said: { level: number; msg: string }[] = [];
  const clock = new TestClock();
  const log = pino({ base: null }, { write: (line) => void said.push(JSON.parse(line)) });
  const source = {
    name: 'the keys',
    timing: { ...ASKED, ...timing },
    read: (signal: AbortSignal) => getText(issuer.jwksUrl, 'the keys', signal),
  };
  const keys = new KeySet({ source, clock, log });
  atTestEnd(() => keys.close());
  await keys.refresh();
  const accepts = async (key: SigningKey, header: Record<string, unknown> = {}) => {
    const verified = jwtVerify(await key.sign({}, header), keys.find);
    return verified.then(
      () => true,
      (error) => {
        if (error instanceof errors.JOSEError) return false;
        throw error;
      },
    );
  };
  const failures = () => said.filter(({ level }) => level >= 40).map(({ level, msg }) => [level, msg]);
  return { accepts, clock, failures, keys, said };
}

const [first, second, third, unknown] = await Promise.all(['1', '2', '3', 'unknown'].map((kid) => signingKey(kid)));
if (!first || !second || !third || !unknown) throw new Error('there are four');

describe('a key that is not known', () => {
  test('is asked for at once, once in a cool-down', async () => {
    const issuer = await Issuer.start(first);
    const { accepts, clock } = await opened(issuer);
    expect(await accepts(first)).toBe(true);
    issuer.publish(first, second);
    expect(await accepts(second)).toBe(true);
    expect(issuer.requests).toHaveLength(2);
    issuer.publish(first, second, third);
    clock.advance(COOLDOWN_MS - 1);
    expect(await accepts(third)).toBe(false);
    expect(issuer.requests).toHaveLength(2);
    clock.advance(1);
    expect(await accepts(third)).toBe(true);
    expect(issuer.requests).toHaveLength(3);
  });

  test('that nobody has causes one request, however many tokens name it', async () => {
    const issuer = await Issuer.start(first);
    const { accepts, clock } = await opened(issuer);
    const tokens = Array.from({ length: 500 }, (_, n) => accepts(unknown, { kid: `unknown ${n}` }));
    expect(new Set(await Promise.all(tokens))).toEqual(new Set([false]));
    expect(issuer.requests).toHaveLength(2);
    for (let n = 0; n < 50; n++) expect(await accepts(unknown)).toBe(false);
    expect(issuer.requests).toHaveLength(2);
    expect(await accepts(first)).toBe(true);
    clock.advance(COOLDOWN_MS);
    expect(await accepts(unknown)).toBe(false);
    expect(issuer.requests).toHaveLength(3);
  });

  test('is found by all who share the one request', async () => {
    const issuer = await Issuer.start(first);
    const { accepts } = await opened(issuer);
    issuer.publish(second);
    const all = await Promise.all(Array.from({ length: 100 }, () => accepts(second)));
    expect(new Set(all)).toEqual(new Set([true]));
    expect(issuer.requests).toHaveLength(2);
  });

  test('is asked for again after a reading that began too early to have it', async () => {
    const issuer = await Issuer.start(first);
    const { accepts, keys } = await opened(issuer);
    const early = issuer.text;
    const answer = issuer.answer;
    let release = () => {};
    issuer.answer = (response) => {
      release = () => response.end(early);
      issuer.answer = answer;
    };
    const refreshed = keys.refresh();
    await eventually(() => expect(issuer.requests).toHaveLength(2));
    issuer.publish(first, second);
    const many = Promise.all(Array.from({ length: 20 }, () => accepts(second)));
    // Until they wait for the reading that is under way: signing takes them a while.
    await new Promise((resolve) => setTimeout(resolve, 100));
    release();
    await refreshed;
    expect(new Set(await many)).toEqual(new Set([true]));
    expect(issuer.requests).toHaveLength(3);
  });
});

describe('while the server is away', () => {
  test('known keys go on for their time, and then no longer; what is wrong is said once', async () => {
    const issuer = await Issuer.start(first);
    const { accepts, clock, failures, keys } = await opened(issuer);
    await issuer.down();
    for (let n = 0; n < 5; n++) await keys.refresh();
    clock.advance(MAX_AGE_MS);
    expect(await accepts(first)).toBe(true);
    const why = 'the keys: the server cannot be reached: ECONNREFUSED';
    expect(failures()).toEqual([[40, `${why}; the keys that are known go on`]]);
    clock.advance(1);
    expect(await accepts(first)).toBe(false);
    expect(failures().slice(1)).toEqual([[50, `${why}; until there are keys, no JSON Web Token is accepted`]]);
    await issuer.up();
    clock.advance(COOLDOWN_MS);
    expect(await accepts(first)).toBe(true);
  });

  test('unknown keys cause no request each, and known ones wait for none', async () => {
    const issuer = await Issuer.start(first);
    const { accepts } = await opened(issuer);
    let cut = () => {};
    issuer.answer = (response) => {
      cut = () => response.destroy();
    };
    const waiting = Array.from({ length: 200 }, () => accepts(unknown));
    await eventually(() => expect(issuer.requests).toHaveLength(2));
    // The request hangs, and this is answered all the same.
    expect(await accepts(first)).toBe(true);
    cut();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([false]));
    for (let n = 0; n < 50; n++) expect(await accepts(unknown)).toBe(false);
    expect(issuer.requests).toHaveLength(2);
  });

  test('a process starts without keys, and has them by itself when it is back', async () => {
    const issuer = await Issuer.start(first);
    await issuer.down();
    const { accepts, failures, said } = await opened(issuer, { retryMs: 20 });
    expect(await accepts(first)).toBe(false);
    expect(failures()).toHaveLength(1);
    await issuer.up();
    await eventually(() => expect(said.at(-1)).toMatchObject({ msg: 'read the keys of JSON Web Tokens', keys: 1 }));
    expect(await accepts(first)).toBe(true);
  });
});

test('old keys are read again unasked, and those withdrawn are gone', async () => {
  const issuer = await Issuer.start(first);
  const { accepts } = await opened(issuer, { everyMs: 20 });
  expect(await accepts(first)).toBe(true);
  issuer.publish(second);
  const seen = issuer.requests.length;
  await eventually(() => expect(issuer.requests.length).toBeGreaterThan(seen + 1));
  expect(await accepts(first)).toBe(false);
  expect(await accepts(second)).toBe(true);
});

test('many who refresh them at once share one reading', async () => {
  const issuer = await Issuer.start(first);
  const { keys } = await opened(issuer);
  await Promise.all(Array.from({ length: 20 }, () => keys.refresh()));
  expect(issuer.requests).toHaveLength(2);
});

test('after it is closed nothing is asked for', async () => {
  const issuer = await Issuer.start(first);
  const { accepts, keys } = await opened(issuer, { everyMs: 1 });
  await keys.close();
  const asked = issuer.requests.length;
  expect(await accepts(unknown)).toBe(false);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(issuer.requests).toHaveLength(asked);
});

describe('what is no set of keys leaves the one before in force', () => {
  test.each<[string, Issuer['answer'], string]>([
    ['a status', (response) => response.writeHead(500).end('{"keys":[]}'), 'the server answers 500'],
    [
      'a redirect to somewhere else',
      (response, { url }) =>
        url === '/jwks' ? response.writeHead(302, { Location: '/elsewhere' }).end() : response.end('{"keys":[]}'),
      'the server answers 302',
    ],
    ['text', (response) => response.end('s3cret <html>'), 'it is not JSON'],
    ['nothing', (response) => response.end(), 'it is not JSON'],
    ['a list', (response) => response.end('[]'), 'it is no set of keys, such as'],
    ['keys that are none', (response) => response.end('{"keys":[1]}'), 'it is no set of keys, such as'],
    ['too much', (response) => response.end(' '.repeat(1024 * 1024 + 1)), 'the answer is larger than 1048576 bytes'],
    [
      'half an answer',
      (response) =>
        response.writeHead(200, { 'Content-Length': 99 }).write('{') && setTimeout(() => response.destroy(), 20),
      'the server',
    ],
  ])('%s', async (_, answer, why) => {
    const issuer = await Issuer.start(first);
    const { accepts, failures, keys } = await opened(issuer);
    issuer.answer = answer;
    await keys.refresh();
    expect(failures()).toEqual([[40, expect.stringContaining(`the keys: ${why}`)]]);
    expect(JSON.stringify(failures())).not.toContain('s3cret');
    expect(await accepts(first)).toBe(true);
    expect(issuer.requests).toEqual(['/jwks', '/jwks']);
  });
});

test('private and secret keys are left out of it', async () => {
  const issuer = await Issuer.start(first);
  issuer.keys.push({ ...second.public, d: 'x' }, { kty: 'oct', k: 'c2VjcmV0', kid: '3' });
  const { accepts, failures } = await opened(issuer);
  expect(await accepts(first)).toBe(true);
  expect(await accepts(second)).toBe(false);
  expect(failures()).toEqual([[40, 'private and secret keys are no keys to check a token with']]);
});
