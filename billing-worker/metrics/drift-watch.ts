import { setTimeout as pause } from 'node:timers/promises';
import type { Sql } from 'postgres';
import { Gauge, type Registry } from 'prom-client';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import type { Terms } from '../invoices/scope.ts';
import { reconcile, type TenantDrift } from '../reconcile/reconcile.ts';

const KINDS = ['rollups', 'invoices', 'counters'] as const;

/** A round of all tenants begins so long after the one before has ended; and after the start, so that starting is not slowed. */
const ROUND_MS = 600_000;
/** The database may be busy with it for a twentieth of the time, and with one tenant a second at most. */
const REST_FACTOR = 20;
const MIN_REST_MS = 1_000;
const PAGE = 100;

/** Tenants with a cycle that has not ended. $1: the one before, or null. */
const OPEN_CYCLES_SQL = `
select tenant_id, min(cycle_start) as cycle_start, min(cycle_end) as cycle_end
from usage_rollups where cycle_end > $1::timestamptz and ($2::text is null or tenant_id > $2::text)
group by tenant_id order by tenant_id limit $3`;

export interface DriftWatchDeps {
  sql: Sql;
  terms: () => Terms;
  registry: Registry;
  clock: Clock;
  log: Log;
  roundMs?: number;
  /** How long it rests after a tenant that took so long. */
  restMs?: (tookMs: number) => number;
}

const usualRest = (tookMs: number) => Math.max(MIN_REST_MS, REST_FACTOR * tookMs);

type Drifting = Record<(typeof KINDS)[number], number>;

/**
 * Looks at one tenant after the other, whether its ledger, rollups, invoices and counters agree in the cycle that runs, and tells in a
 * metric of how many tenants they do not. `GET /v1/reconcile` says which, and what.
 */
export class DriftWatch {
  readonly #deps: DriftWatchDeps;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  /** Of the last round that was completed. */
  #drifting: Drifting | undefined;
  #completedAt = 0;

  constructor(deps: DriftWatchDeps) {
    this.#deps = deps;
    this.#register(deps.registry);
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** One round of all tenants. */
  async round(): Promise<void> {
    const { clock, restMs = usualRest } = this.#deps;
    const found: Drifting = { rollups: 0, invoices: 0, counters: 0 };
    let after: string | null = null;
    while (!this.#stopping.signal.aborted) {
      const page = await this.#page(after);
      for (const { cycle_end, cycle_start, tenant_id } of page) {
        const began = clock.monotonic();
        const cycle = { start: cycle_start.getTime(), end: cycle_end.getTime() };
        const { data } = await reconcile({ tenantId: tenant_id, cycle, limit: 1 }, this.#deps);
        for (const drift of data) this.#note(found, drift);
        await this.#rest(restMs(clock.monotonic() - began));
        if (this.#stopping.signal.aborted) return;
        after = tenant_id;
      }
      if (page.length < PAGE) break;
    }
    this.#drifting = found;
    this.#completedAt = clock.now();
  }

  #note(found: Drifting, drift: TenantDrift): void {
    const kinds = KINDS.filter((kind) => drift[kind].found);
    for (const kind of kinds) found[kind] += 1;
    this.#deps.log.error({ tenant: drift.tenant_id, kinds }, 'the ledger does not agree: see GET /v1/reconcile');
  }

  async #page(after: string | null): Promise<{ tenant_id: string; cycle_start: Date; cycle_end: Date }[]> {
    const { clock, sql } = this.#deps;
    const parameters = [new Date(clock.now()).toISOString(), after, String(PAGE)];
    const rows = await sql.unsafe(OPEN_CYCLES_SQL, parameters, { prepare: true });
    return rows.map(({ cycle_end, cycle_start, tenant_id }) => ({
      tenant_id,
      cycle_start: new Date(cycle_start),
      cycle_end: new Date(cycle_end),
    }));
  }

  async #run(): Promise<void> {
    const { log, roundMs = ROUND_MS } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      await this.#rest(roundMs);
      if (this.#stopping.signal.aborted) return;
      await this.round().catch((error) => log.warn({ err: error }, 'it was not looked whether the ledger agrees'));
    }
  }

  #rest(milliseconds: number): Promise<void> {
    return pause(milliseconds, undefined, { signal: this.#stopping.signal, ref: false }).catch(() => {});
  }

  #register(registry: Registry): void {
    const drifting = () => this.#drifting;
    const completedAt = () => this.#completedAt / 1_000;
    new Gauge({
      name: 'openclaw_ledger_drifting_tenants',
      help: 'Tenants whose ledger does not agree with its rollups, invoices or counters, in the last round.',
      labelNames: ['kind'],
      registers: [registry],
      collect() {
        const found = drifting();
        if (found) for (const kind of KINDS) this.set({ kind }, found[kind]);
      },
    });
    new Gauge({
      name: 'openclaw_ledger_reconciled_timestamp_seconds',
      help: 'When the last round was completed, Unix time; 0 before the first.',
      registers: [registry],
      collect() {
        this.set(completedAt());
      },
    });
  }
}
