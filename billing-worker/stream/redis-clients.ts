import { once } from 'node:events';
import { createClient, type RedisClientType } from 'redis';
import type { Log } from '../../runtime/log.ts';

export interface RedisClients {
  /** For all that is answered at once. */
  client: RedisClientType;
  /** For reads that wait: on a shared connection they would hold up everything behind them. */
  reader: RedisClientType;
  close(): Promise<void>;
}

/** A connection whose other end is gone without a word is given up after this; pings keep a quiet one from it. */
const SILENCE_MS = 6_000;
const PING_MS = 2_000;

/**
 * Connects twice, and goes on connecting for as long as it takes. A command fails at once while there is no
 * connection: who sent it decides whether to wait.
 */
export async function connectClients(url: string, log: Log): Promise<RedisClients> {
  const client = connection(url);
  const reader = connection(url);
  let said = false;
  client.on('error', (error: Error) => {
    if (!said) log.error({ err: error }, 'Redis cannot be reached; trying on');
    said = true;
  });
  client.on('ready', () => {
    if (said) log.info('Redis is back');
    said = false;
  });
  // It loses its connection together with the other, which says so.
  reader.on('error', () => {});
  await Promise.all([client, reader].map(firstAttempt));
  return {
    client,
    reader,
    close: async () => {
      reader.destroy();
      if (client.isReady) await client.close();
      else client.destroy();
    },
  };
}

const connection = (url: string): RedisClientType =>
  createClient({
    url,
    disableOfflineQueue: true,
    pingInterval: PING_MS,
    socket: {
      connectTimeout: 5_000,
      socketTimeout: SILENCE_MS,
      reconnectStrategy: (tries) => Math.min(50 * 2 ** tries, 1_000),
    },
  });

/** A server that is away does not keep the process from starting. */
const firstAttempt = (client: RedisClientType) =>
  Promise.race([client.connect().catch(() => {}), once(client, 'error').catch(() => {})]);
