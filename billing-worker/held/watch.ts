import type { Sql } from 'postgres';
import { Gauge, type Registry } from 'prom-client';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import type { Terms } from '../invoices/scope.ts';
import { heldByModel, unpricedUsage } from './held-usage.ts';

const EVERY_MS = 60_000;
/** A cycle that is still open so long after its end is no longer watched; `GET /v1/held` has it. */
const WATCHED_MS = 100 * 24 * 60 * 60 * 1_000;

export interface HeldWatchDeps {
  sql: Sql;
  terms: () => Terms;
  registry: Registry;
  clock: Clock;
  log: Log;
}

/** Looks every minute for usage that waits for a price: a metric, and an error in the log when a model begins to. */
export class HeldWatch {
  readonly #deps: HeldWatchDeps;
  readonly #gauge: Gauge;
  #known = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(deps: HeldWatchDeps) {
    this.#deps = deps;
    this.#gauge = new Gauge({
      name: 'openclaw_billing_held_events',
      help: 'Usage events of closed cycles, and requests of open ones, that are not billed because their model has no price.',
      registers: [deps.registry],
    });
  }

  start(): void {
    const look = () => {
      this.#looking = this.look().catch((error) =>
        this.#deps.log.warn({ err: error }, 'held usage was not looked for'),
      );
    };
    look();
    this.#timer = setInterval(look, EVERY_MS).unref();
  }

  /** Resolves when the look at hand is over. */
  stop(): Promise<void> {
    clearInterval(this.#timer);
    return this.#looking;
  }

  async look(): Promise<void> {
    const { clock, log, sql, terms } = this.#deps;
    const closed = await heldByModel(terms(), sql);
    const open = await unpricedUsage({ tenantId: undefined, endedAfter: clock.now() - WATCHED_MS }, terms(), sql);
    // A cycle with several spans without a price has its requests in each of them.
    const requests = new Map(
      open.map((one) => [`${one.tenant_id} ${one.cycle_start} ${one.model}`, Number(one.requests)]),
    );
    const events = closed.reduce((sum, row) => sum + row.events, 0);
    this.#gauge.set([...requests.values()].reduce((sum, each) => sum + each, events));
    const models = new Set([...closed.map(({ model }) => model), ...open.map(({ model }) => model)]);
    for (const model of models) {
      if (!this.#known.has(model))
        log.error({ model }, 'usage of a model without a price is held: add it to models.yaml');
    }
    this.#known = models;
  }
}
