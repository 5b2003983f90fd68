import { hostname } from 'node:os';
import type { Registry } from 'prom-client';
import type { Environment } from '../../runtime/config/environment.ts';
import type { Log } from '../../runtime/log.ts';
import { type UsageStream, usageStreamKey } from '../../schemas/usage-stream.ts';
import { openRedisStream } from './redis.ts';

/** Opens the usage stream of the sidecars' Redis. A single Redis has one partition. */
export function openUsageStream(
  url: string,
  environment: Environment,
  registry: Registry,
  log: Log,
): Promise<UsageStream> {
  return openRedisStream({ url, key: usageStreamKey(0), consumer: consumerName(environment), registry, log });
}

/** The same at every start, so that a worker finds at once what it had taken before the last one. */
const consumerName = ({ BILLING_PORT }: Environment) => `${hostname()}:${BILLING_PORT || `pid-${process.pid}`}`;
