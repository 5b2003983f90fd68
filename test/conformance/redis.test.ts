import { beforeAll } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { describeCounterStore } from './counter-store.suite.ts';
import { RedisStores } from './stores/redis.ts';

let stores: RedisStores;

beforeAll(async () => {
  stores = await RedisStores.start();
}, BRING_TIMEOUT_MS);

describeCounterStore('the Redis store', (settings) => stores.open(settings), { settableClock: false, scripts: true });

describeCounterStore(
  'the Redis store with a clock that a test sets',
  (settings) => stores.openWithClock(systemClock, settings),
  {
    settableClock: true,
    scripts: true,
  },
);
