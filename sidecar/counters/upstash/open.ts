import type { Process } from '../../../runtime/main.ts';
import type { CounterStore } from '../contract.ts';
import { openSingle } from '../redis/open.ts';
import { connectUpstash } from './connection.ts';
import type { UpstashAccess } from './requester.ts';
import { checkUpstash } from './server-check.ts';

/**
 * Opens the counters in the Upstash database that the sidecars and the billing worker share: the same scripts as in
 * Redis. Throws `ConfigError` if it must not be used; one that cannot be reached yet is looked at when it is, and ends the
 * process then.
 */
export async function openUpstashStore(
  access: UpstashAccess,
  { environment, fail, log }: Pick<Process, 'environment' | 'fail' | 'log'>,
): Promise<CounterStore> {
  const { ALLOW_VOLATILE_STORE, STORE_TIMEOUT_MS } = environment;
  const deps = { host: new URL(access.url).host, allowVolatile: ALLOW_VOLATILE_STORE, log };
  const connection = await connectUpstash({
    ...access,
    timeoutMs: STORE_TIMEOUT_MS,
    log,
    guard: { check: (ask) => checkUpstash(ask, deps), refuse: fail },
  });
  return openSingle(connection, { environment, fail, log });
}
