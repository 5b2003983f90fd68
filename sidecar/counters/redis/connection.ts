import { once } from 'node:events';
import { createClient, ErrorReply } from 'redis';
import type { Log } from '../../../runtime/log.ts';
import { CountersUnavailable } from '../contract.ts';
import type { Script } from './scripts.ts';

/** One connection to a Redis server that runs scripts, each within a time limit. */
export interface Connection {
  run(script: Script, keys: string[], args: string[]): Promise<unknown>;
  get(key: string): Promise<string | null>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Connects, and goes on connecting for as long as it takes. What does not answer in `timeoutMs`, or while there is no
 * connection, throws `CountersUnavailable`: a script that timed out may still have run.
 */
export async function connectRedis(url: string, timeoutMs: number, log: Log): Promise<Connection> {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: { connectTimeout: 5_000, reconnectStrategy: (tries) => Math.min(50 * 2 ** tries, 1_000) },
  });
  let said = false;
  client.on('error', (error: Error) => {
    if (!said) log.error({ err: error }, 'Redis cannot be reached; trying on');
    said = true;
  });
  client.on('ready', () => {
    if (said) log.info('Redis is back');
    said = false;
  });
  // A server that is away does not keep the process from starting: its requests are denied until the server is there.
  await Promise.race([client.connect().catch(() => {}), once(client, 'error')]).catch(() => {});

  const within = <Result>(promise: Promise<Result>) => withDeadline(promise, timeoutMs);
  const run = async (script: Script, keys: string[], args: string[]) => {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await client.sendCommand(['EVALSHA', script.sha, ...rest]);
    } catch (error) {
      if (!(error instanceof ErrorReply) || !error.message.startsWith('NOSCRIPT')) throw error;
      return await client.sendCommand(['EVAL', script.source, ...rest]);
    }
  };
  return {
    run: (script, keys, args) => within(run(script, keys, args)),
    get: (key) => within(client.get(key)),
    ping: () => within(client.ping().then(() => {})),
    close: async () => {
      if (client.isReady) await client.close();
      else client.destroy();
    },
  };
}

async function withDeadline<Result>(promise: Promise<Result>, timeoutMs: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } catch (error) {
    throw new CountersUnavailable(`Redis: ${(error as Error).message}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
