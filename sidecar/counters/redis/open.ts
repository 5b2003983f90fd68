import { systemClock } from '../../../runtime/clock.ts';
import type { Process } from '../../../runtime/main.ts';
import { withBreaker } from '../breaker.ts';
import type { CounterStore } from '../contract.ts';
import { counterSettings } from '../settings.ts';
import { type Connection, connectRedis } from './connection.ts';
import { PartitionCount } from './partition-count.ts';
import { loadScripts } from './scripts.ts';
import { CHECK_MS, ServerCheck } from './server-check.ts';
import { RedisStore } from './store.ts';

type Deps = Pick<Process, 'environment' | 'fail' | 'log'>;

/**
 * Opens the counters in the Redis that the sidecars and the billing worker share. Throws `ConfigError` if that server
 * must not be used; one that cannot be reached yet is looked at when it is, and ends the process then.
 */
export async function openRedisCounters(url: string, deps: Deps): Promise<CounterStore> {
  const { environment, fail, log } = deps;
  const { ALLOW_VOLATILE_STORE, STORE_TIMEOUT_MS } = environment;
  const check = new ServerCheck({ server: new URL(url).host, allowVolatile: ALLOW_VOLATILE_STORE, log });
  const guard = { check: check.check.bind(check), everyMs: CHECK_MS, refuse: fail };
  return openSingle(await connectRedis(url, STORE_TIMEOUT_MS, log, guard), deps, () => check.assertFit());
}

/** The counters on one server, whatever speaks to it: its number of partitions is looked at, and a breaker put around it. */
export async function openSingle(
  connection: Connection,
  { environment, fail, log }: Deps,
  assertFit: () => void = () => {},
): Promise<CounterStore> {
  const scripts = loadScripts();
  const count = new PartitionCount({ connection, script: scripts.partitions, partitions: 1, refuse: fail });
  const guarded = withBreaker(count.guarded(connection), { clock: systemClock, log });
  const ping = async () => {
    assertFit();
    await guarded.ping();
  };
  try {
    await count.open();
  } catch (error) {
    await guarded.close();
    throw error;
  }
  return new RedisStore({ ...guarded, ping }, scripts, systemClock, counterSettings(environment));
}
