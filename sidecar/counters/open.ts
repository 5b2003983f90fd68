import type { Process } from '../../runtime/main.ts';
import { openClusterCounters } from './cluster/open.ts';
import type { CounterStore } from './contract.ts';
import { openRedisCounters } from './redis/open.ts';
import { openUpstashStore } from './upstash/open.ts';

/** Opens the counters on the server that the environment names; undefined if it names none. */
export async function openSharedCounters(process: Process): Promise<CounterStore | undefined> {
  const {
    REDIS_CLUSTER_URLS,
    REDIS_URL,
    UPSTASH_REDIS_REST_TOKEN: token,
    UPSTASH_REDIS_REST_URL: url,
  } = process.environment;
  if (REDIS_URL) return openRedisCounters(REDIS_URL, process);
  if (REDIS_CLUSTER_URLS) return openClusterCounters(REDIS_CLUSTER_URLS, process);
  if (url && token) return openUpstashStore({ url, token }, process);
  return undefined;
}
