import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../runtime/clock.ts';
import type { LiveConfig } from '../runtime/config/live-config.ts';
import { listen } from '../runtime/listen.ts';
import { listenerLimits } from '../runtime/listener-limits.ts';
import type { Process } from '../runtime/main.ts';
import { Overload } from '../runtime/metrics/overload.ts';
import type { CounterStore } from './counters/contract.ts';
import { createSidecar } from './sidecar.ts';
import type { SharingWorker } from './workers/worker.ts';

const SILENCE_MS = 120_000;

export interface ServeOptions {
  adminToken: string | undefined;
  config: LiveConfig;
  store: CounterStore;
  /** Undefined: this process is alone on its port. */
  worker?: SharingWorker | undefined;
}

/** Loads the policy and serves the sidecar. Resolves with its address. */
export async function serveSidecar(
  process: Process,
  { adminToken, config, store, worker }: ServeOptions,
): Promise<string> {
  const { closers, environment, log } = process;
  const tracing = process.tracing?.('sidecar');
  const going = { begun: false };
  const overload = new Overload({ clock: systemClock, log });
  const { app, direct } = await createSidecar({
    ...process,
    tracing,
    adminToken,
    config,
    store,
    clock: systemClock,
    worker,
    going,
    overload,
  });
  const listening = await listen(app, {
    host: environment.HOST,
    port: environment.PORT,
    variable: 'PORT',
    limits: listenerLimits(environment, SILENCE_MS),
    onRefused: overload.refused,
    direct,
  });
  closers.add('sidecar listener', async () => {
    going.begun = true;
    listening.drain();
    await sleep(environment.DRAIN_MS);
    await listening.close();
  });
  log.info({ url: listening.url }, 'sidecar is listening');
  return listening.url;
}
