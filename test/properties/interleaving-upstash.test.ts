import { UpstashStores } from '../conformance/stores/upstash.ts';
import { fullLength } from '../helpers/full-length.ts';
import { describeInterleaving } from './interleaving.suite.ts';

describeInterleaving(
  'the counters on Upstash',
  async () => {
    const stores = await UpstashStores.start();
    return (caller) => stores.openWithClock(caller);
  },
  { seeds: fullLength ? 20 : 2 },
);
