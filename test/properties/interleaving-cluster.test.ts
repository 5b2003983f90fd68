import { ClusterStores } from '../conformance/stores/cluster.ts';
import { describeInterleaving } from './interleaving.suite.ts';

describeInterleaving(
  'the counters on a Redis Cluster',
  async () => {
    const stores = await ClusterStores.start();
    return (caller) => stores.openWithClock(caller);
  },
  'oldest of each partition',
);
