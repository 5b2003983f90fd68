import type { Process } from '../../runtime/main.ts';
import type { CounterStore } from '../../sidecar/counters/contract.ts';
import { openSharedCounters } from '../../sidecar/counters/open.ts';

/**
 * Opens the store of the sidecars for a worker, which only publishes keys into it. What ends a sidecar must not end a worker:
 * a store that has turned volatile is one more reason to bring what is in its stream into the ledger. So that is not looked
 * at here, and what is found out later is said in the log. Throws `ConfigError` for a store that no sidecar could use either.
 */
export function openKeyStore(process: Process): Promise<CounterStore | undefined> {
  const { environment, log } = process;
  return openSharedCounters({
    ...process,
    environment: { ...environment, ALLOW_VOLATILE_STORE: true },
    // Who publishes says that the store is away, once; that it is volatile is for the sidecars to say.
    log: log.child({}, { level: 'silent' }),
    fail: (error) => log.error({ err: error }, 'no API keys are published into this store'),
  });
}
