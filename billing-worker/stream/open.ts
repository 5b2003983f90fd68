import { hostname } from 'node:os';
import type { Registry } from 'prom-client';
import { systemClock } from '../../runtime/clock.ts';
import type { Environment } from '../../runtime/config/environment.ts';
import type { Log } from '../../runtime/log.ts';
import { type UsageStream, usageStreamKey } from '../../schemas/usage-stream.ts';
import { openClusterStream } from './cluster.ts';
import { openRedisStream } from './redis.ts';
import { openUpstashStream } from './upstash.ts';

export interface OpenStreamDeps {
  environment: Environment;
  registry: Registry;
  log: Log;
}

/** Opens the usage stream of the sidecars' server, with all its partitions; undefined if the environment names none. */
export async function openUsageStream({
  environment,
  log,
  registry,
}: OpenStreamDeps): Promise<UsageStream | undefined> {
  const {
    REDIS_CLUSTER_URLS: urls,
    REDIS_URL,
    UPSTASH_REDIS_REST_TOKEN: token,
    UPSTASH_REDIS_REST_URL: url,
  } = environment;
  const common = { consumer: consumerName(environment), registry, log };
  if (urls) return openClusterStream({ urls, clock: systemClock, ...common });
  const reader = { key: usageStreamKey(0), ...common };
  if (REDIS_URL) return openRedisStream({ url: REDIS_URL, ...reader });
  if (url && token) return openUpstashStream({ url, token, ...reader });
  return undefined;
}

/** The same at every start, so that a worker finds at once what it had taken before the last one. */
const consumerName = ({ BILLING_PORT }: Environment) => `${hostname()}:${BILLING_PORT || `pid-${process.pid}`}`;
