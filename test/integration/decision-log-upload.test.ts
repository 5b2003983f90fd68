import { randomBytes } from 'node:crypto';
import { readdir, readFile, readlink, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { DecisionLogCounts } from '../../sidecar/decision-log/counts.ts';
import { DecisionLog } from '../../sidecar/decision-log/decision-log.ts';
import { HttpSink, type HttpSinkOptions } from '../../sidecar/decision-log/http-sink.ts';
import { LogPolicy } from '../../sidecar/decision-log/log-policy.ts';
import { eventually } from '../helpers/eventually.ts';
import { logDecisions } from '../helpers/log-entries.ts';
import { type Fault, LogReceiver } from '../helpers/log-receiver.ts';
import { tempDir } from '../helpers/temp-dir.ts';

let receiver: LogReceiver;
let root: string;
let said: string[];
let open: DecisionLog[];

beforeEach(async () => {
  receiver = await LogReceiver.start();
  root = join(await tempDir('decision-log'), 'spool');
  said = [];
  open = [];
});

afterEach(async () => {
  for (const log of open) await log.close();
});

const pinoLog = pino({ level: 'info' }, { write: (line: string) => void said.push(line) });

interface Opened {
  log: DecisionLog;
  http: HttpSink;
  counts: DecisionLogCounts;
}

type Upload = Partial<HttpSinkOptions['upload']>;

async function start({
  spoolBytes = 64 * 1024 * 1024,
  ...upload
}: Upload & { spoolBytes?: number } = {}): Promise<Opened> {
  const counts = new DecisionLogCounts();
  const http = await HttpSink.open({
    root,
    maxBytes: spoolBytes,
    upload: {
      url: `${receiver.url}/`,
      token: 'secret',
      maxBytes: 4_096,
      timeoutMs: 300,
      gatherMs: 20,
      maxRetryMs: 100,
      ...upload,
    },
    counts,
    clock: systemClock,
    log: pinoLog,
  });
  const policy = new LogPolicy({
    labels: { id: 'i' },
    content: 'known',
    counts,
    log: pinoLog,
    complain: () => true,
  });
  const log = new DecisionLog({ policy, content: 'known', sinks: [http], counts, clock: systemClock, log: pinoLog });
  open.push(log);
  return { log, http, counts };
}

const sorted = (ids: Iterable<string>) => [...ids].toSorted();
const filesIn = async () => (await readdir(root, { recursive: true })).filter((name) => name.endsWith('.events'));

/** How many files of the spool this process holds open; 0 where that cannot be known. */
async function openFiles(): Promise<number> {
  const descriptors = await readdir('/proc/self/fd').catch(() => []);
  const paths = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return paths.filter((path) => path.startsWith(root) && path.endsWith('.events')).length;
}

/** Everything that was to be logged is with the receiver, once. */
async function expectAll(ids: string[], { counts, http }: Opened): Promise<void> {
  await eventually(() => expect(receiver.events.length).toBeGreaterThanOrEqual(ids.length), { timeoutMs: 20_000 });
  expect(sorted(receiver.ids)).toEqual(sorted(ids));
  await eventually(() => expect(http.spooled.events).toBe(0));
  expect(counts.uploaded).toBe(ids.length);
  await eventually(async () => expect(await filesIn()).toEqual([]));
}

test('every decision arrives once, in uploads that are no longer than they may be', async () => {
  const opened = await start();
  const ids = logDecisions(opened.log, 3_000);
  await expectAll(ids, opened);
  expect(receiver.ids).toEqual(ids);
  expect(new Set(receiver.requests.map(({ authorization, url }) => `${authorization} ${url}`))).toEqual(
    new Set(['Bearer secret /logs']),
  );
  for (const { bytes } of receiver.requests) expect(bytes).toBeLessThanOrEqual(4_096);
  expect(receiver.requests.length).toBeGreaterThan(10);
});

/** Which upload meets what. */
const FAULTS: [string, (request: number) => Fault | undefined][] = [
  ['500 and 503', (n) => (n % 3 === 0 ? undefined : 500 + (n % 3))],
  ['401, 403, 429 and 302', (n) => [401, undefined, 403, 429, undefined, 302][n % 6]],
  ['400 and 413', (n) => [400, undefined, 413, undefined, undefined][n % 5]],
  ['resets', (n) => (n % 3 === 2 ? undefined : 'reset')],
  ['a service that hangs', (n) => (n < 2 || n === 7 ? 'hang' : undefined)],
  [
    'everything at once',
    (n) => (['hang', 500, 'reset', undefined, 400, undefined, undefined] as const)[n < 35 ? n % 7 : 6],
  ],
];

test.each(FAULTS)('every decision arrives once for all of %s', async (_, faultAt) => {
  const opened = await start();
  receiver.faultAt = faultAt;
  const ids: string[] = [];
  for (let round = 0; round < 20; round++) {
    ids.push(...logDecisions(opened.log, 50));
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  await expectAll(ids, opened);
  expect(opened.counts.uploadFailures).toBeGreaterThan(0);
  expect(opened.counts.recorded).toBe(1_000);
});

test('an outage loses nothing, and its end needs nobody', async () => {
  const opened = await start();
  const before = logDecisions(opened.log, 200);
  await eventually(() => expect(receiver.events).toHaveLength(200));
  await receiver.down();
  const meanwhile = logDecisions(opened.log, 2_000);
  await eventually(() => expect(opened.http.spooled.events).toBe(2_000));
  await eventually(() => expect(opened.counts.uploadFailures).toBeGreaterThan(2));
  expect((await filesIn()).length).toBeGreaterThan(10);
  expect(await openFiles()).toBeLessThanOrEqual(2);
  await receiver.up();
  await expectAll([...before, ...meanwhile], opened);
  expect(said.join()).toContain('decision logs cannot be uploaded and wait in DATA_DIR');
  expect(said.join()).toContain('decision logs are uploaded again');
  expect(said.join()).not.toContain('secret');
});

test('an upload whose answer is lost is sent again: twice is better than never, and its id tells', async () => {
  const opened = await start();
  receiver.faultAt = (n) => (n === 0 ? 'reset after it is taken' : undefined);
  const ids = logDecisions(opened.log, 10);
  await eventually(() => expect(receiver.events).toHaveLength(20));
  expect(sorted(new Set(receiver.ids))).toEqual(sorted(ids));
  expect(opened.counts.uploaded).toBe(10);
});

test('a batch that is refused for good does not hold up the others', async () => {
  const opened = await start();
  const poison = logDecisions(opened.log, 1);
  receiver.refuses = (id) => id === poison[0];
  await eventually(() => expect(receiver.requests.length).toBeGreaterThan(0));
  const others = logDecisions(opened.log, 500);
  await eventually(() => expect(sorted(receiver.ids)).toEqual(sorted(others)));
  expect(opened.http.spooled.events).toBe(1);
  receiver.refuses = () => false;
  await expectAll([...poison, ...others], opened);
});

/** Such that a file of the spool is more than one upload: hex of random bytes compresses to a half, not to a tenth. */
const logNoise = (log: DecisionLog, count: number): string[] =>
  Array.from({ length: count }, () => logDecisions(log, 1, { user_id: randomBytes(120).toString('hex') })).flat();

test('of a file that is sent in parts, those that were accepted are not sent again, also after a restart', async () => {
  const opened = await start();
  // Every other one fails, so that most files are left in the middle.
  receiver.faultAt = (n) => (n % 2 === 0 ? undefined : 503);
  const ids = logNoise(opened.log, 300);
  await eventually(() => expect(receiver.requests.length).toBeGreaterThan(5));
  await receiver.down();
  open = [];
  await opened.log.close();
  const before = receiver.events.length;
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan(300);
  await receiver.up();
  await start();
  await eventually(() => expect(receiver.events.length).toBeGreaterThanOrEqual(300), { timeoutMs: 20_000 });
  expect(sorted(receiver.ids)).toEqual(sorted(ids));
  await eventually(async () => expect(await filesIn()).toEqual([]));
});

test('what cannot be written to the spool is counted, and the next that can is uploaded', async () => {
  const opened = await start();
  const [home = ''] = await readdir(root);
  await rename(root, `${root}-away`);
  logDecisions(opened.log, 10);
  await eventually(() => expect(opened.counts.dropped('spool_failed')).toBe(10));
  await rename(`${root}-away`, root);
  expect(await readdir(root)).toEqual([home]);
  const ids = logDecisions(opened.log, 10);
  await eventually(() => expect(sorted(receiver.ids)).toEqual(sorted(ids)));
  expect(opened.counts.dropped('spool_failed')).toBe(10);
  expect(said.join()).toContain('the spool of decision logs cannot be written');
});

test('the path and query of the address are kept', async () => {
  const opened = await start({ url: `${receiver.url}/v2/?tenant=a` });
  logDecisions(opened.log, 1);
  await eventually(() => expect(receiver.requests[0]?.url).toBe('/v2/logs?tenant=a'));
});

test('a redirect is not followed: the token is for one address', async () => {
  const elsewhere = await LogReceiver.start();
  const opened = await start();
  receiver.location = `${elsewhere.url}/logs`;
  receiver.faultAt = (n) => (n === 0 ? 303 : undefined);
  await expectAll(logDecisions(opened.log, 5), opened);
  expect(elsewhere.requests).toEqual([]);
});

describe('a full spool', () => {
  test('gives up the oldest, and counts each', async () => {
    await receiver.down();
    const opened = await start({ spoolBytes: 128 * 1024 });
    const ids: string[] = [];
    for (let round = 0; round < 20; round++) {
      ids.push(...logDecisions(opened.log, 100));
      await eventually(() => expect(opened.log.queued).toBe(0));
    }
    const dropped = opened.counts.dropped('spool_full');
    expect(dropped).toBeGreaterThan(0);
    expect(opened.http.spooled.bytes).toBeLessThanOrEqual(128 * 1024);
    expect(opened.http.spooled.events + dropped).toBe(2_000);
    await receiver.up();
    await eventually(() => expect(opened.http.spooled.events).toBe(0), { timeoutMs: 20_000 });
    const lost = opened.counts.dropped('spool_full');
    expect(receiver.events.length + lost).toBe(2_000);
    // What is left is the youngest, each once.
    expect(sorted(receiver.ids)).toEqual(sorted(new Set(receiver.ids)));
    expect(receiver.ids).toContain(ids.at(-1));
    expect(receiver.ids).not.toContain(ids[0]);
    expect(said.join()).toContain('the spool of decision logs is full');
  });
});

test('an event that alone is longer than an upload may be is left out, and counted', async () => {
  const opened = await start({ maxBytes: 1_024 });
  const noise = Array.from({ length: 200 }, (_, n) => `${n}${Math.random()}`).join('');
  const long = opened.log
    .begin({
      policy: { revision: noise, isEntrypoint: () => false, spare: () => Promise.reject(new Error()) },
      path: 'p',
      requestedBy: undefined,
    })
    .plain(undefined, true);
  const ids = logDecisions(opened.log, 100);
  await eventually(() => expect(receiver.events.length).toBeGreaterThan(0));
  if (receiver.ids.includes(long)) throw new Error('it is not too long for this test');
  await expectAll(ids, opened);
  expect(opened.counts.dropped('too_large')).toBe(1);
});

describe('a restart', () => {
  test('sends what waited', async () => {
    await receiver.down();
    const first = await start();
    const ids = logDecisions(first.log, 1_000);
    await eventually(() => expect(first.http.spooled.events).toBe(1_000));
    open = [];
    await first.log.close();
    expect(await filesIn()).not.toEqual([]);
    expect(said.join()).toContain('decision logs are not uploaded yet');
    await receiver.up();
    await start();
    await eventually(() => expect(receiver.events).toHaveLength(1_000));
    expect(sorted(receiver.ids)).toEqual(sorted(ids));
    await eventually(async () => expect(await filesIn()).toEqual([]));
  });

  test('sends at its end what still goes', async () => {
    const opened = await start({ gatherMs: 60_000 });
    const ids = logDecisions(opened.log, 500);
    open = [];
    await opened.log.close();
    expect(sorted(receiver.ids)).toEqual(sorted(ids));
    expect(await readdir(root)).toEqual([]);
  });

  test('passes over what is damaged, and sends the rest', async () => {
    await receiver.down();
    const first = await start();
    const ids = logDecisions(first.log, 3);
    await eventually(() => expect(first.http.spooled.events).toBe(3));
    open = [];
    await first.log.close();
    for (const name of await filesIn()) {
      const text = await readFile(join(root, name), 'utf8');
      const [header, ...lines] = text.trimEnd().split('\n');
      // The first is changed, and the end of the last was never written.
      const damaged = [header, lines[0]?.replace('acme', 'evil'), lines[1], lines[2]?.slice(0, 50)].join('\n');
      await writeFile(join(root, name), damaged);
    }
    await receiver.up();
    await start();
    await eventually(() => expect(receiver.ids).toEqual([ids[1]]));
  });

  test('leaves a second process of the same DATA_DIR its own', async () => {
    await receiver.down();
    const [one, two] = [await start(), await start()];
    const ids = [...logDecisions(one.log, 100), ...logDecisions(two.log, 100)];
    await eventually(() => expect(one.http.spooled.events + two.http.spooled.events).toBe(200));
    await receiver.up();
    await eventually(() => expect(receiver.events).toHaveLength(200));
    expect(sorted(receiver.ids)).toEqual(sorted(ids));
    expect([one.counts.uploaded, two.counts.uploaded]).toEqual([100, 100]);
  });
});
