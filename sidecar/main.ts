import { ConfigError } from '../runtime/config/config-error.ts';
import { loadConfig } from '../runtime/config/files.ts';
import { runMain } from '../runtime/main.ts';
import { openRedisCounters } from './counters/redis/open.ts';
import { serveSidecar } from './serve.ts';

await runMain(async (process) => {
  const { CONFIG_DIR, REDIS_URL } = process.environment;
  if (!REDIS_URL) {
    throw new ConfigError([
      'environment: REDIS_URL must be set, because the sidecar alone shares its counters with a billing worker; ' +
        '`npm start` runs both in one process without Redis',
    ]);
  }
  const config = loadConfig(CONFIG_DIR);
  const store = await openRedisCounters(REDIS_URL, process);
  process.closers.add('counters', () => store.close());
  await serveSidecar(process, config, store);
});
