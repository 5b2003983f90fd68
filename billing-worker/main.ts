import { Registry } from 'prom-client';
import { ConfigError } from '../runtime/config/config-error.ts';
import { loadConfig } from '../runtime/config/files.ts';
import { lockDataDir } from '../runtime/data-dir-lock.ts';
import { runMain } from '../runtime/main.ts';
import { serveBilling } from './serve.ts';
import { openUsageStream } from './stream/open.ts';

await runMain(async (process) => {
  const { closers, environment, log } = process;
  const { ADMIN_TOKEN, CONFIG_DIR, DATABASE_URL, DATA_DIR, REDIS_URL } = environment;
  if (!REDIS_URL) {
    throw new ConfigError([
      'environment: REDIS_URL must be set, because the billing worker alone reads the usage stream of a sidecar; ' +
        '`npm start` runs both in one process without Redis',
    ]);
  }
  const config = loadConfig(CONFIG_DIR);
  if (!DATABASE_URL) {
    const lock = await lockDataDir(DATA_DIR);
    closers.add('lock of DATA_DIR', () => lock.release());
  }
  const registry = new Registry();
  const stream = await openUsageStream(REDIS_URL, environment, registry, log);
  closers.add('usage stream', () => stream.close());
  await serveBilling(process, { config, stream, registry, adminToken: ADMIN_TOKEN });
});
