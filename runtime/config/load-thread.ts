import { parentPort, workerData } from 'node:worker_threads';
import { ConfigError } from './config-error.ts';
import { loadConfig } from './files.ts';
import type { Loaded } from './load-aside.ts';

/** Reads the configuration beside the main thread: 10,000 users take 0.4 s, in which nobody else would be served. */
const load = (folder: string): Loaded => {
  try {
    return { config: loadConfig(folder) };
  } catch (error) {
    return { problems: error instanceof ConfigError ? error.problems : [(error as Error).message] };
  }
};

parentPort?.postMessage(load(workerData as string));
