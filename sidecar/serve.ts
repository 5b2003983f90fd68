import { systemClock } from '../runtime/clock.ts';
import type { LiveConfig } from '../runtime/config/live-config.ts';
import { listen } from '../runtime/listen.ts';
import type { Process } from '../runtime/main.ts';
import type { CounterStore } from './counters/contract.ts';
import { createSidecar } from './sidecar.ts';

/** Loads the policy and serves the sidecar. Resolves with its address. */
export async function serveSidecar(
  process: Process,
  { adminToken, config, store }: { adminToken: string | undefined; config: LiveConfig; store: CounterStore },
): Promise<string> {
  const { closers, environment, log } = process;
  const tracing = process.tracing?.('sidecar');
  const app = await createSidecar({ ...process, tracing, adminToken, config, store, clock: systemClock });
  const listening = await listen(app, { host: environment.HOST, port: environment.PORT, variable: 'PORT' });
  closers.add('sidecar listener', () => listening.close());
  log.info({ url: listening.url }, 'sidecar is listening');
  return listening.url;
}
