import { RedisStores } from '../conformance/stores/redis.ts';
import { fullLength } from '../helpers/full-length.ts';
import { describeInterleaving } from './interleaving.suite.ts';

describeInterleaving(
  'the Redis store',
  async () => {
    const stores = await RedisStores.start();
    return (caller) => stores.openWithClock(caller);
  },
  { seeds: fullLength ? 20 : 6 },
);
