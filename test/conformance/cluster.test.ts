import { beforeAll } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { describeCounterStore } from './counter-store.suite.ts';
import { ClusterStores } from './stores/cluster.ts';

let stores: ClusterStores;

beforeAll(async () => {
  stores = await ClusterStores.start();
}, BRING_TIMEOUT_MS);

// On the servers' own clocks a cluster is run by `test/integration` and `test/faults`: the same tests again add a minute.
describeCounterStore(
  'the counters on a Redis Cluster with a clock that a test sets',
  (settings) => stores.openWithClock(systemClock, settings),
  {
    settableClock: true,
    scripts: true,
  },
);
