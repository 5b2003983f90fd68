import { createClient, ErrorReply } from 'redis';
import { ConfigError } from '../../../runtime/config/config-error.ts';
import type { Address } from './cluster-map.ts';

/**
 * What `CLUSTER SLOTS` says at the first of the URLs that knows any, each asked over a connection of its own. Throws
 * `ConfigError` if a server of them is there and is no node of a cluster, and any other error if none answers.
 */
export async function readSlots({ timeoutMs, urls }: { urls: string[]; timeoutMs: number }) {
  try {
    return await Promise.any(urls.map((url) => readAt(url, timeoutMs)));
  } catch (error) {
    const { errors } = error as AggregateError;
    throw errors.find((each) => each instanceof ConfigError) ?? errors[0];
  }
}

/** A connection and its greeting take longer than one answer. */
const GREETING_MS = 1_000;

async function readAt(url: string, timeoutMs: number): Promise<{ asked: Address; reply: unknown }> {
  const limit = timeoutMs + GREETING_MS;
  const socket = { reconnectStrategy: false as const, connectTimeout: limit, socketTimeout: limit };
  const client = createClient({ url, socket }).on('error', () => undefined);
  try {
    await client.connect();
    const reply = (await client.sendCommand(['CLUSTER', 'SLOTS'])) as unknown[];
    if (!reply.length) throw new Error('its nodes hold no slots yet');
    return { asked: new URL(url).host, reply };
  } catch (error) {
    if (error instanceof ErrorReply && /cluster support disabled/.test(error.message)) throw noCluster(url);
    throw error;
  } finally {
    client.destroy();
  }
}

const noCluster = (url: string) =>
  new ConfigError([
    `Redis at ${new URL(url).host}: it is a server of its own, not a node of a cluster; ` +
      'set REDIS_URL to it instead of REDIS_CLUSTER_URLS',
  ]);
