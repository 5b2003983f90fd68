import { ConfigError } from '../runtime/config/config-error.ts';
import { loadConfig } from '../runtime/config/files.ts';
import { runMain } from '../runtime/main.ts';
import { openRedisStore } from './counters/redis/store.ts';
import { serveSidecar } from './serve.ts';

await runMain(async (process) => {
  const { CONFIG_DIR, REDIS_URL, STORE_TIMEOUT_MS } = process.environment;
  if (!REDIS_URL) {
    throw new ConfigError([
      'environment: REDIS_URL must be set, because the sidecar alone shares its counters with a billing worker; ' +
        '`npm start` runs both in one process without Redis',
    ]);
  }
  const config = loadConfig(CONFIG_DIR);
  const store = await openRedisStore(REDIS_URL, STORE_TIMEOUT_MS, process.log);
  process.closers.add('counters', () => store.close());
  await serveSidecar(process, config, store);
});
