import { systemClock } from '../../../runtime/clock.ts';
import type { Process } from '../../../runtime/main.ts';
import { CLUSTER_PARTITIONS } from '../../../schemas/usage-stream.ts';
import { withBreaker } from '../breaker.ts';
import type { CounterStore } from '../contract.ts';
import { partitionCountKey } from '../keys.ts';
import { connectCluster } from '../redis/cluster-connection.ts';
import { PartitionCount } from '../redis/partition-count.ts';
import { loadScripts } from '../redis/scripts.ts';
import { CHECK_MS, ServerCheck } from '../redis/server-check.ts';
import { counterSettings } from '../settings.ts';
import { ClusterStore } from './store.ts';

/**
 * Opens the counters in the Redis Cluster that the sidecars and the billing worker share. Throws `ConfigError` if one of
 * its masters must not be used. One that joins later and must not be used is said in the log, and its slots are denied:
 * the others go on.
 */
export async function openClusterCounters(
  urls: string[],
  { environment, fail, log }: Pick<Process, 'environment' | 'fail' | 'log'>,
): Promise<CounterStore> {
  const { ALLOW_VOLATILE_STORE: allowVolatile, STORE_TIMEOUT_MS } = environment;
  const checks = new Map<string, ServerCheck>();
  const checkOf = (server: string): ServerCheck => {
    const check = checks.get(server) ?? new ServerCheck({ server, allowVolatile, inCluster: true, log });
    checks.set(server, check);
    return check;
  };
  const connection = await connectCluster(urls, STORE_TIMEOUT_MS, log, {
    check: (ask, server) => checkOf(server).check(ask),
    everyMs: CHECK_MS,
    refuse: (error) => log.error({ problems: error.problems }, 'a master of the cluster must not be used, and is not'),
  });
  const scripts = loadScripts();
  const count = new PartitionCount({
    connection: connection.at(partitionCountKey),
    script: scripts.partitions,
    partitions: CLUSTER_PARTITIONS,
    refuse: fail,
  });
  const store = new ClusterStore({
    connection,
    scripts,
    clock: systemClock,
    settings: counterSettings(environment),
    guarded: (each, partition) =>
      withBreaker(count.guarded(each), { clock: systemClock, log: log.child({ partition }) }),
    assertFit: () => {
      for (const check of checks.values()) check.assertFit();
    },
  });
  try {
    await count.open();
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
}
