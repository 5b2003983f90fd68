import { mkdir } from 'node:fs/promises';
import { Registry } from 'prom-client';
import { serveBilling } from '../billing-worker/serve.ts';
import { openUsageStream } from '../billing-worker/stream/open.ts';
import type { UsageStream } from '../schemas/usage-stream.ts';
import type { CounterStore } from '../sidecar/counters/contract.ts';
import { createEmbeddedStore } from '../sidecar/counters/embedded/open.ts';
import { openSharedCounters } from '../sidecar/counters/open.ts';
import { counterSettings } from '../sidecar/counters/settings.ts';
import { serveSidecar } from '../sidecar/serve.ts';
import { keptAdminToken } from './admin-token.ts';
import { systemClock } from './clock.ts';
import { ConfigError } from './config/config-error.ts';
import { isLoopback } from './config/environment.ts';
import { openLiveConfig } from './config/live-config.ts';
import { lockDataDir } from './data-dir-lock.ts';
import { type Process, runMain } from './main.ts';
import { welcome } from './welcome.ts';

/** `npm start`: sidecar and billing worker in one process, on the embedded stores where no server is named. */
await runMain('openclaw-rating', async (process) => {
  const { closers, environment, print } = process;
  const { ADMIN_TOKEN, DATA_DIR, HOST } = environment;
  if (environment.WORKERS > 1) {
    throw new ConfigError([
      'environment: WORKERS: `npm start` runs both services in one process; for more of the sidecar set REDIS_URL, and start ' +
        '`npm run sidecar` and `npm run worker`',
    ]);
  }
  const config = openLiveConfig(process);
  await mkdir(DATA_DIR, { recursive: true, mode: 0o700 });
  const lock = await lockDataDir(DATA_DIR);
  closers.add('lock of DATA_DIR', () => lock.release());

  const registry = new Registry();
  const { store, stream } = await openCounters(process, registry);
  closers.add('usage stream', () => stream.close());
  closers.add('counters', () => store.close());

  const adminToken = ADMIN_TOKEN ?? (isLoopback(HOST) ? keptAdminToken(DATA_DIR) : undefined);
  // The policy is loaded first: a wrong one is told at once, and the embedded database takes seconds.
  const sidecar = await serveSidecar(process, { config, store, adminToken });
  const billing = await serveBilling(process, { config, store, stream, registry, adminToken, sidecarUrl: sidecar });
  config.start();
  print(welcome({ sidecar, billing, adminToken, environment }));
});

async function openCounters(
  process: Process,
  registry: Registry,
): Promise<{ store: CounterStore; stream: UsageStream }> {
  const { environment, log } = process;
  const store = await openSharedCounters(process);
  const stream = await openUsageStream({ environment, registry, log });
  if (store && stream) return { store, stream };
  const settings = counterSettings(environment);
  return createEmbeddedStore({ dataDir: environment.DATA_DIR, clock: systemClock, log, settings });
}
