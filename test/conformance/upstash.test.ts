import { beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { fullLength } from '../helpers/full-length.ts';
import { describeCounterStore } from './counter-store.suite.ts';
import { UpstashStores } from './stores/upstash.ts';
import { limit, Workbench } from './workbench.ts';

let stores: UpstashStores;

beforeAll(async () => {
  stores = await UpstashStores.start();
}, BRING_TIMEOUT_MS);

// By its own clock it does what a Redis does.
if (fullLength) {
  describeCounterStore('the counters on Upstash', (settings) => stores.open(settings), {
    settableClock: false,
    scripts: true,
  });
}

describeCounterStore(
  'the counters on Upstash with a clock that a test sets',
  (settings) => stores.openWithClock(systemClock, settings),
  {
    settableClock: true,
    scripts: true,
  },
);

describe('what is paid for by the request', () => {
  const CAPACITY = 100;
  const DECISIONS = 256;

  test(`${DECISIONS} decisions at once need at most 0.2 requests each, and are each decided`, async () => {
    const bench = new Workbench(await stores.open());
    await bench.taken(limit({ id: 'warm up' }));
    const [requests, commands] = [stores.server.requests, stores.server.commands];
    const wanted = limit({ capacity: CAPACITY });
    const results = await Promise.all(Array.from({ length: DECISIONS }, () => bench.take(wanted)));
    expect((stores.server.requests - requests) / DECISIONS).toBeLessThanOrEqual(0.2);
    expect(stores.server.commands - commands).toBe(stores.server.requests - requests);
    expect(results.filter(({ kind }) => kind === 'taken')).toHaveLength(CAPACITY);
    expect(results.filter(({ kind }) => kind === 'refused')).toHaveLength(DECISIONS - CAPACITY);
    await bench.close();
  });

  test('one decision, settle or question is one request', async () => {
    const bench = new Workbench(await stores.open());
    const wanted = limit({ settles: true });
    await bench.void((await bench.taken(wanted)).id);
    await bench.store.noteApiKeysUsed(new Map([['k0_000000000000', 1]]));
    const cost = async (step: () => Promise<unknown>) => {
      const before = stores.server.requests;
      await step();
      return stores.server.requests - before;
    };
    let id = '';
    const steps = [
      async () => {
        ({ id } = await bench.taken(wanted));
      },
      () => bench.settle(id, 1),
      () => bench.peek(wanted),
      () => bench.store.record(id),
      () => bench.store.apiKey('k0_000000000000'),
      () => bench.store.apiKeysLastUsed(['k0_000000000000', 'k0_000000000001']),
      () =>
        bench.store.noteApiKeysUsed(
          new Map([
            ['k0_000000000000', 1],
            ['k0_000000000001', 1],
          ]),
        ),
      () => bench.store.ping(),
    ];
    for (const step of steps) expect(await cost(step)).toBe(1);
    await bench.close();
  });
});
