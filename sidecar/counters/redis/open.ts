import { systemClock } from '../../../runtime/clock.ts';
import type { Process } from '../../../runtime/main.ts';
import { withBreaker } from '../breaker.ts';
import type { CounterStore } from '../contract.ts';
import { counterSettings } from '../settings.ts';
import { connectRedis } from './connection.ts';
import { loadScripts } from './scripts.ts';
import { ServerCheck } from './server-check.ts';
import { RedisStore } from './store.ts';

const CHECK_MS = 30_000;

/**
 * Opens the counters in the Redis that the sidecars and the billing worker share. Throws `ConfigError` if that server
 * must not be used; one that cannot be reached yet is looked at when it is, and ends the process then.
 */
export async function openRedisCounters(url: string, { environment, fail, log }: Process): Promise<CounterStore> {
  const { ALLOW_VOLATILE_STORE, STORE_TIMEOUT_MS } = environment;
  const check = new ServerCheck({ server: new URL(url).host, allowVolatile: ALLOW_VOLATILE_STORE, log });
  const guard = { check: check.check.bind(check), everyMs: CHECK_MS, refuse: fail };
  const connection = withBreaker(await connectRedis(url, STORE_TIMEOUT_MS, log, guard), { clock: systemClock, log });
  const ping = async () => {
    check.assertFit();
    await connection.ping();
  };
  return new RedisStore({ ...connection, ping }, loadScripts(), systemClock, counterSettings(environment));
}
