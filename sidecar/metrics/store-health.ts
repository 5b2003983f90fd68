import type { Registry } from 'prom-client';
import { gaugeOf, oncePerScrape } from '../../runtime/metrics/observed.ts';
import { NotAsked } from '../counters/breaker.ts';
import type { CounterStore } from '../counters/contract.ts';

/** Whether the counters would take a write, asked once at each scrape as `/health` asks; who waits for it waits STORE_TIMEOUT_MS. */
export function observeStore(registry: Registry, store: Pick<CounterStore, 'ping'>): void {
  const state = oncePerScrape(() =>
    store.ping().then(
      () => ({ up: 1, open: 0 }),
      (error) => ({ up: 0, open: error instanceof NotAsked ? 1 : 0 }),
    ),
  );
  gaugeOf(
    registry,
    'openclaw_store_up',
    '1 while the counters can be reached and take writes.',
    async () => (await state()).up,
  );
  gaugeOf(
    registry,
    'openclaw_store_breaker_open',
    '1 while the counters are not asked any more, because they did not answer: requests are refused at once.',
    async () => (await state()).open,
  );
}
