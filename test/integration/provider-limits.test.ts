import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import { usageStreamKey } from '../../schemas/usage-stream.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { fullLength } from '../helpers/full-length.ts';
import { ask as askRedis } from '../helpers/redis-cluster.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/** How long each limit is under pressure at least, and how long a caller waits that was denied something. */
const PRESSURE_MS = fullLength ? 75_000 : 1_000;
const PAUSE_MS = 200;
const INPUTS = 50;
const MINUTE_MS = 60_000;

/** The table, as it is printed: requests a minute, tokens a minute. */
const TABLE = [
  ['anthropic', 1, 50, 30_000],
  ['anthropic', 2, 1_000, 450_000],
  ['anthropic', 3, 2_000, 800_000],
  ['anthropic', 4, 4_000, 2_000_000],
  ['openai', 'free', 3, 40_000],
  ['openai', 1, 500, 200_000],
  ['openai', 2, 5_000, 2_000_000],
  ['openai', 3, 5_000, 4_000_000],
  ['openai', 5, 10_000, 30_000_000],
  ['google', 'free', 15, 32_000],
  ['google', 'paid', 2_000, 4_000_000],
] as const;

const GOOGLE_DAY = 1_500;

/** A limit under pressure. Each has a model for itself, which has the limits of its account's tier for itself. */
interface Row {
  title: string;
  account: string;
  model: string;
  /** How the limit is called in the account, and in a denial. */
  limit: string;
  words: string;
  capacity: number;
  perMs: number;
  /** Of one request. */
  cost: number;
  input: object;
}

const minute = (n: number, title: string, rest: Pick<Row, 'capacity' | 'cost' | 'input' | 'limit' | 'words'>): Row => ({
  title: `${title}: ${rest.capacity} ${rest.words}`,
  account: `account-${n}`,
  model: `row-${n}/${rest.limit}`,
  perMs: rest.capacity / MINUTE_MS,
  ...rest,
});

const ROWS: Row[] = TABLE.flatMap(([provider, tier, requests, tokens], n) => {
  const title = `${provider} ${tier}`;
  // So many of them empty the tokens long before the requests, and leave a rest that is too little for one more.
  const cost = Math.floor(tokens / (Math.min(100, Math.floor(requests * 0.7)) + 0.5));
  const [limit, words] =
    provider === 'anthropic' ? ['input_tokens', 'input tokens a minute'] : ['tokens', 'tokens a minute'];
  const small = { input_tokens: 1, max_output_tokens: 0 };
  const large = { input_tokens: cost, max_output_tokens: 0 };
  return [
    minute(n, title, { capacity: requests, cost: 1, input: small, limit: 'requests', words: 'requests a minute' }),
    minute(n, title, { capacity: tokens, cost, input: large, limit, words }),
  ];
});

/** In a minute nobody uses up a day: here the limit of a minute is out of the way. */
const DAY: Row = {
  title: `google free: ${GOOGLE_DAY} requests a day`,
  account: 'account-day',
  model: 'row-day/requests',
  limit: 'requests:day',
  words: 'requests a day',
  capacity: GOOGLE_DAY,
  perMs: 0,
  cost: 1,
  input: { input_tokens: 1, max_output_tokens: 0 },
};

const ACCOUNTS = [
  ...TABLE.map(
    ([provider, tier], n) =>
      `  account-${n}: { provider: ${provider}, tier: ${tier}, per: model, models: ["row-${n}/*"] }`,
  ),
  '  account-day: { provider: google, tier: free, limits: { requests_per_minute: 1000000, tokens_per_minute: 1000000 }, ' +
    'per: model, models: ["row-day/*"] }',
].join('\n');

/** What came of the pressure on one limit. Instants are those of `performance.now()`. */
interface Pressed {
  allowed: number;
  messages: Set<string>;
  begun: number;
  ended: number;
  /** When the first denial was known, and when the last batch was sent that had one. */
  firstDenied: number;
  lastDenied: number;
}

let redis: RedisServer;
let sidecars: Service[];
let books: Map<Row, Book>;
const pressed = new Map<Row, Pressed>();

beforeAll(async () => {
  redis = await startRedis();
  sidecars = await started();
  await Promise.all([...ROWS, DAY].map(async (row) => pressed.set(row, await press(row))));
  books = await counted();
}, BRING_TIMEOUT_MS);

async function started(): Promise<Service[]> {
  const folder = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), folder, { recursive: true });
  const shipped = await readFile(join(folder, 'providers.yaml'), 'utf8');
  await writeFile(join(folder, 'providers.yaml'), shipped.replace(/^accounts: \{\}$/m, `accounts:\n${ACCOUNTS}`));
  await writeFile(
    join(folder, 'tenants.yaml'),
    'defaults: { capacity: 1000000000, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }\n',
  );
  const environment = {
    CONFIG_DIR: folder,
    REDIS_URL: redis.url,
    STORE_TIMEOUT_MS: '20000',
    POLICY_TIMEOUT_MS: '20000',
  };
  return Promise.all([startSidecar(environment), startSidecar(environment)]);
}

/** Asks for more than there is, at both sidecars at once, until nothing is left and the time is over. */
async function press(row: Row): Promise<Pressed> {
  const begun = performance.now();
  const result: Pressed = {
    allowed: 0,
    messages: new Set(),
    begun,
    ended: 0,
    firstDenied: Number.POSITIVE_INFINITY,
    lastDenied: 0,
  };
  await Promise.all(sidecars.map((sidecar) => pressAt(sidecar, row, result)));
  return { ...result, ended: performance.now() };
}

async function pressAt({ url }: Service, { input, model }: Row, result: Pressed): Promise<void> {
  const one = { tenant_id: 'acme', user_id: 'u', model, ...input };
  const body = JSON.stringify({ inputs: Object.fromEntries(Array.from({ length: INPUTS }, (_, i) => [i, one])) });
  for (let isOver = false; !isOver; ) {
    const sent = performance.now();
    isOver = sent - result.begun > PRESSURE_MS;
    const reply = await post(`${url}/v1/batch/data/openclaw/routing/decision`, body);
    if (reply.status !== 200) throw new Error(JSON.stringify(reply.body));
    const decisions: { result: { allow: boolean; reason: string; message: string } }[] = Object.values(
      reply.body.responses,
    );
    const denied = decisions.filter(({ result: { allow } }) => !allow);
    result.allowed += decisions.length - denied.length;
    for (const { result: said } of denied) result.messages.add(`${said.reason}: ${said.message}`);
    if (denied.length === 0) isOver = false;
    else {
      result.firstDenied = Math.min(result.firstDenied, performance.now());
      result.lastDenied = Math.max(result.lastDenied, sent);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

/** A limit counted once more, from the usage events and the instants in them, which are the store's. */
interface Book {
  grants: number;
  at: number;
  /** What is left, and the least that ever was. */
  level: number;
  least: number;
}

async function counted(): Promise<Map<Row, Book>> {
  const rows = new Map([...ROWS, DAY].map((row) => [row.model, row]));
  const all = new Map<Row, Book>();
  for await (const { decided_at, limits, model = '' } of grants()) {
    const row = rows.get(model) as Row;
    const id = `provider:${row.account}/${model}:${row.limit}`;
    const taken = limits.find((limit) => limit.id === id)?.amount ?? Number.NaN;
    const { at, grants, least, level } = all.get(row) ?? {
      grants: 0,
      at: decided_at,
      level: row.capacity,
      least: row.capacity,
    };
    const left = Math.min(row.capacity, level + row.perMs * (decided_at - at)) - taken;
    all.set(row, { grants: grants + 1, at: decided_at, level: left, least: Math.min(least, left) });
  }
  return all;
}

describe.each(ROWS)('$title', (row) => {
  test('never more than there is, and all of it', () => {
    const { allowed, begun, ended, firstDenied, lastDenied, messages } = pressed.get(row) as Pressed;
    for (const message of messages) {
      expect(message).toContain('provider_unavailable: ');
      expect(message).toContain(row.words);
    }
    const { grants, least, level } = books.get(row) as Book;
    expect(grants).toBe(allowed);
    expect(least).toBeGreaterThanOrEqual(-1e-6);
    // After the last grant something was denied: less than one request was left, and what refilled between the two.
    expect(level).toBeLessThan(row.cost + row.capacity / 100);

    // The same by another clock than the store's, which knows less: the first grant came after `begun`, and what was
    // denied in between was denied because nothing was left. The store's instants are whole milliseconds.
    expect(allowed * row.cost).toBeLessThanOrEqual(row.capacity + row.perMs * (ended - begun + 2));
    const refilled = row.perMs * Math.max(0, lastDenied - firstDenied);
    expect(allowed).toBeGreaterThanOrEqual(Math.floor((row.capacity + refilled) / row.cost));
  });
});

test(DAY.title, () => {
  const { allowed, messages } = pressed.get(DAY) as Pressed;
  for (const message of messages) expect(message).toContain(DAY.words);
  // A test that runs over midnight in Los Angeles sees two days of it.
  expect([GOOGLE_DAY, 2 * GOOGLE_DAY]).toContain(allowed);
  expect(books.get(DAY)?.grants).toBe(allowed);
});

const PAGE = 2_000;

/** All grants, in the order in which the store gave them. */
async function* grants(): AsyncGenerator<UsageEvent> {
  for (let from = '-'; ; ) {
    const page = ['XRANGE', usageStreamKey(0), from, '+', 'COUNT', String(PAGE)];
    const entries = (await askRedis(redis, page)) as [string, string[]][];
    for (const [, [, event = '']] of entries) {
      const read = JSON.parse(event) as UsageEvent;
      if (read.type === 'reserved' || read.type === 'consumed') yield read;
    }
    if (entries.length < PAGE) return;
    from = `(${entries.at(-1)?.[0]}`;
  }
}
