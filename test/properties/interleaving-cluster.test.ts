import { ClusterStores } from '../conformance/stores/cluster.ts';
import { fullLength } from '../helpers/full-length.ts';
import { describeInterleaving } from './interleaving.suite.ts';

describeInterleaving(
  'the counters on a Redis Cluster',
  async () => {
    const stores = await ClusterStores.start();
    return (caller) => stores.openWithClock(caller);
  },
  { expires: 'oldest of each partition', seeds: fullLength ? 20 : 2 },
);
