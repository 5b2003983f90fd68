import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { compiled } from '../package-root.ts';
import { ConfigError } from './config-error.ts';
import type { Config } from './files.ts';

/** What the thread says, once. */
export type Loaded = { config: Config } | { problems: string[] };

const TIMEOUT_MS = 60_000;

/** `loadConfig` in a thread of its own. Throws `ConfigError`. */
export async function loadAside(folder: string): Promise<Config> {
  const worker = new Worker(compiled('runtime/config/load-thread.js'), { workerData: folder });
  try {
    const [loaded] = (await once(worker, 'message', { signal: AbortSignal.timeout(TIMEOUT_MS) })) as [Loaded];
    if ('problems' in loaded) throw new ConfigError(loaded.problems);
    return loaded.config;
  } finally {
    await worker.terminate();
  }
}
