import cluster from 'node:cluster';
import { argv } from 'node:process';
import { ConfigError } from '../runtime/config/config-error.ts';
import { openLiveConfig } from '../runtime/config/live-config.ts';
import { runMain } from '../runtime/main.ts';
import { openSharedCounters } from './counters/open.ts';
import { serveSidecar } from './serve.ts';
import { superviseWorkers } from './workers/primary.ts';
import { SharingWorker } from './workers/worker.ts';

await runMain('openclaw-sidecar', async (process) => {
  if (process.environment.WORKERS > 1 && cluster.isPrimary) return superviseWorkers(process);
  const config = openLiveConfig(process);
  const store = await openSharedCounters(process);
  if (!store) {
    throw new ConfigError([
      'environment: REDIS_URL, REDIS_CLUSTER_URLS, or UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN, must be set, because the sidecar ' +
        'alone shares its counters with a billing worker; `npm start` runs both in one process without Redis',
    ]);
  }
  process.closers.add('counters', () => store.close());
  const worker = SharingWorker.own(argv, process.stop);
  await serveSidecar(process, { config, store, adminToken: process.environment.ADMIN_TOKEN, worker });
  config.start();
});
