import { Registry } from 'prom-client';
import { ConfigError } from '../runtime/config/config-error.ts';
import { openLiveConfig } from '../runtime/config/live-config.ts';
import { lockDataDir } from '../runtime/data-dir-lock.ts';
import { runMain } from '../runtime/main.ts';
import { openKeyStore } from './keys/open-store.ts';
import { serveBilling } from './serve.ts';
import { openUsageStream } from './stream/open.ts';

await runMain('openclaw-billing-worker', async (process) => {
  const { closers, environment, log } = process;
  const { ADMIN_TOKEN, DATABASE_URL, DATA_DIR } = environment;
  const config = openLiveConfig(process);
  const registry = new Registry();
  const store = await openKeyStore(process);
  const stream = await openUsageStream({ environment, registry, log });
  if (!store || !stream) {
    throw new ConfigError([
      'environment: REDIS_URL, REDIS_CLUSTER_URLS, or UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN, must be set, ' +
        'because the billing worker alone reads the usage stream of a sidecar; `npm start` runs both in one process ' +
        'without Redis',
    ]);
  }
  closers.add('counters', () => store.close());
  closers.add('usage stream', () => stream.close());
  if (!DATABASE_URL) {
    const lock = await lockDataDir(DATA_DIR);
    closers.add('lock of DATA_DIR', () => lock.release());
  }
  await serveBilling(process, { config, store, stream, registry, adminToken: ADMIN_TOKEN });
  config.start();
});
