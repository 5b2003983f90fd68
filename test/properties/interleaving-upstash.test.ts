import { UpstashStores } from '../conformance/stores/upstash.ts';
import { describeInterleaving } from './interleaving.suite.ts';

describeInterleaving('the counters on Upstash', async () => {
  const stores = await UpstashStores.start();
  return (caller) => stores.openWithClock(caller);
});
