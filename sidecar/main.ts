import { systemClock } from '../runtime/clock.ts';
import { ConfigError } from '../runtime/config/config-error.ts';
import { loadConfig } from '../runtime/config/files.ts';
import { listen } from '../runtime/listen.ts';
import { runMain } from '../runtime/main.ts';
import { openRedisStore } from './counters/redis/store.ts';
import { createSidecar } from './sidecar.ts';

await runMain(async ({ closers, environment, log }) => {
  const { CONFIG_DIR, HOST, PORT, REDIS_URL, STORE_TIMEOUT_MS } = environment;
  if (!REDIS_URL) {
    throw new ConfigError([
      'environment: REDIS_URL must be set, because the sidecar alone shares its counters with a billing worker; ' +
        '`npm start` runs both in one process without Redis',
    ]);
  }
  const config = loadConfig(CONFIG_DIR);
  const store = await openRedisStore(REDIS_URL, STORE_TIMEOUT_MS, log);
  closers.add('counters', () => store.close());
  const app = await createSidecar({ environment, config, store, clock: systemClock, log, closers });
  const listening = await listen(app, { host: HOST, port: PORT, variable: 'PORT' });
  closers.add('listener', () => listening.close());
  log.info({ url: listening.url }, 'sidecar is listening');
});
