import { pino } from 'pino';
import type { Sql } from 'postgres';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { KeyPublisher, type KeyPublisherDeps } from '../../billing-worker/keys/publish.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import type { ApiKey } from '../../schemas/api-key.ts';
import type { ApiKeyPublication } from '../../sidecar/counters/api-keys.ts';
import { CountersUnavailable } from '../../sidecar/counters/contract.ts';
import { TestClock } from '../helpers/clock.ts';
import { eventually } from '../helpers/eventually.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { apiKey, keyEvent } from './audit-events.ts';
import { SOME_DATABASES } from './databases.ts';
import { chunks, streamEntry } from './events.ts';
import { tenants } from './tenants.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2026-03-01T00:00:00Z');

/** What a store keeps of keys, and what was said to it. It can be emptied, put back and away, a partition at a time. */
class KeptKeys implements Pick<KeyPublisherDeps, 'store'> {
  readonly kept = new Map<string, ApiKey>();
  readonly published = new Set<number>();
  readonly away = new Set<number>();
  readonly said: (Omit<ApiKeyPublication, 'keys'> & { keys: number })[] = [];
  /** Called before each publication is kept. */
  onPublish = () => {};

  readonly store = {
    partitionsWithoutApiKeys: async () =>
      Array.from({ length: 3 }, (_, n) => n).filter((n) => !this.away.has(n) && !this.published.has(n)),
    publishApiKeys: async ({ complete, keys, partition }: ApiKeyPublication) => {
      if (this.away.has(partition)) throw new CountersUnavailable(`partition ${partition} is away`);
      this.onPublish();
      this.said.push({ partition, complete, keys: keys.length });
      for (const key of keys) {
        expect(key.id.startsWith(`k${partition}_`)).toBe(true);
        if (key.revision > (this.kept.get(key.id)?.revision ?? 0)) this.kept.set(key.id, key);
      }
      if (complete) this.published.add(partition);
    },
  };

  empty(): void {
    this.kept.clear();
    this.published.clear();
  }

  keys(): ApiKey[] {
    return [...this.kept.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }
}

const keysOf = (partition: number, count: number, over: Partial<ApiKey> = {}) =>
  Array.from({ length: count }, (_, n) => apiKey({ id: `k${partition}_${String(n).padStart(12, '0')}`, ...over }));

describe.each(SOME_DATABASES)('publishing the keys of $name', ({ open }) => {
  let sql: Sql;
  let clock: TestClock;
  let store: KeptKeys;
  let logged: { level: number; msg: string }[];

  beforeAll(async () => {
    ({ sql } = await open());
  });

  beforeEach(async () => {
    await sql`truncate api_keys`;
    clock = new TestClock(NOW);
    store = new KeptKeys();
    logged = [];
  });

  async function record(keys: ApiKey[]): Promise<void> {
    const ledger = new Ledger({ sql, terms: { tenants, calendar: new Calendar() }, onCommit: () => {} });
    for (const some of chunks(keys, 1_000)) await ledger.append(some.map((key) => streamEntry(keyEvent(key))));
  }

  function start(over: Partial<KeyPublisherDeps> = {}): KeyPublisher {
    const log = pino({}, { write: (line) => logged.push(JSON.parse(line)) });
    const publisher = new KeyPublisher({ sql, store: store.store, partitions: 3, clock, log, everyMs: 10, ...over });
    publisher.start();
    atTestEnd(() => publisher.stop());
    return publisher;
  }

  const errors = () => logged.filter(({ level }) => level >= 50).map(({ msg }) => msg);

  test('at the start and whenever a store lacks them: all that is known of each key, 500 at a time', async () => {
    const whole: ApiKey = apiKey({
      id: 'k2_wholewhole12',
      revision: 4,
      name: 'CI',
      tenant_id: 'globex',
      team_id: 'data',
      user_id: 'alice',
      expires_at: NOW + 1,
      rotated_from: 'k2_000000000000',
      rotated_to: 'k2_111111111111',
      revoked_at: NOW - 1,
    });
    const keys = [...keysOf(0, 1_000), whole];
    await record(keys);
    start();
    await eventually(() => expect(store.keys()).toEqual(keys));
    await eventually(() => expect(store.published.size).toBe(3));
    expect(store.said).toEqual([
      { partition: 0, complete: false, keys: 500 },
      { partition: 0, complete: false, keys: 500 },
      { partition: 0, complete: true, keys: 0 },
      { partition: 1, complete: true, keys: 0 },
      { partition: 2, complete: true, keys: 1 },
    ]);
    store.empty();
    await eventually(() => expect(store.keys()).toEqual(keys));
    expect(errors()).toEqual([]);
  });

  test('keys that ended more than 30 days ago are left out', async () => {
    const ended = (n: number, over: Partial<ApiKey>) =>
      apiKey({ id: `k0_ended${String(n).padStart(7, '0')}`, ...over });
    const long = NOW - 30 * DAY;
    const [kept, left] = [
      [
        ended(1, { expires_at: long }),
        ended(2, { revoked_at: long, expires_at: NOW + DAY }),
        ended(3, { expires_at: NOW + DAY }),
        ended(4, {}),
      ],
      [
        ended(5, { expires_at: long - 1 }),
        ended(6, { revoked_at: long - 1, expires_at: NOW + DAY }),
        ended(7, { revoked_at: NOW, expires_at: long - 1 }),
      ],
    ];
    await record([...kept, ...left]);
    start();
    await eventually(() => expect(store.published.size).toBe(3));
    expect(store.keys()).toEqual(kept);
  });

  test('a store that was put back to an older state gets the later ones within ten minutes', async () => {
    const [key = expect.fail()] = keysOf(1, 1);
    const revoked = { ...key, revision: 2, revoked_at: NOW };
    await record([key, revoked]);
    store.kept.set(key.id, key);
    for (const partition of [0, 1, 2]) store.published.add(partition);
    const publisher = start();
    await eventually(() => expect(store.keys()).toEqual([revoked]));
    store.kept.set(key.id, key);
    clock.advance(599_999);
    const rounds = store.said.length;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(store.said).toHaveLength(rounds);
    clock.advance(1);
    await eventually(() => expect(store.keys()).toEqual([revoked]));
    // Nothing is lacking, so nothing is said to be complete, and of partitions without keys nothing at all.
    expect(store.said).toEqual(Array(2).fill({ partition: 1, complete: false, keys: 1 }));
    await publisher.stop();
  });

  test('a store that is emptied while it is given keys that it had is not taken for one that has them', async () => {
    await record(keysOf(0, 700));
    for (const partition of [0, 1, 2]) store.published.add(partition);
    store.onPublish = () => {
      if (store.said.length === 1) store.empty();
    };
    start();
    await eventually(() => expect(store.kept.size).toBe(700));
    await eventually(() => expect(store.published.size).toBe(3));
  });

  test('a partition that is away holds up no other; it is said once, and made up for', async () => {
    await record([...keysOf(0, 1), ...keysOf(1, 1), ...keysOf(2, 1)]);
    store.away.add(0);
    start();
    await eventually(() => expect(store.published).toEqual(new Set([1, 2])));
    store.empty();
    await eventually(() => expect(store.published).toEqual(new Set([1, 2])));
    expect(errors()).toEqual(['publishing API keys does not work; trying on']);
    store.away.clear();
    await eventually(() => expect(store.keys()).toHaveLength(3));
    await eventually(() => expect(logged.map(({ msg }) => msg)).toContain('publishing API keys works again'));
    expect(errors()).toHaveLength(1);
  });

  test('a ledger that is away is said once, and made up for', async () => {
    await record(keysOf(0, 1));
    await sql`alter table api_keys rename to elsewhere`;
    start();
    await eventually(() => expect(errors()).toEqual(['publishing API keys does not work; trying on']));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(errors()).toHaveLength(1);
    await sql`alter table elsewhere rename to api_keys`;
    await eventually(() => expect(store.keys()).toHaveLength(1));
  });

  test('two publishers at once are as one', async () => {
    const keys = keysOf(0, 1_200);
    await record(keys);
    start();
    start();
    await eventually(() => expect(store.keys()).toEqual(keys));
    await eventually(() => expect(store.published.size).toBe(3));
    expect(errors()).toEqual([]);
  });
});
