import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from 'postgres';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import { retry } from '../retry.ts';
import { dropOldPartitions } from './drop.ts';
import { makePartitions } from './make.ts';

const EVERY_MS = 86_400_000;

export interface PartitionKeeperDeps {
  sql: Sql;
  /** Whole months of the ledger that are kept before the current one; undefined: all. */
  keepMonths: number | undefined;
  clock: Clock;
  log: Log;
  everyMs?: number;
}

/**
 * Makes the ledger's partitions ahead of time and drops those that need not be kept any longer, at the start and once a day. Nothing
 * waits for it: an event whose month has none goes to the default partition.
 */
export class PartitionKeeper {
  readonly #deps: PartitionKeeperDeps;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(deps: PartitionKeeperDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { everyMs = EVERY_MS, log } = this.#deps;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await retry(() => this.#round(), { what: "keeping the ledger's partitions", log, signal });
      } catch (error) {
        if (!signal.aborted) throw error;
      }
      await sleep(everyMs, undefined, { signal }).catch(() => {});
    }
  }

  async #round(): Promise<void> {
    const { clock, keepMonths, log, sql } = this.#deps;
    const made = await makePartitions(clock.now(), sql);
    if (made.length) log.info({ months: made }, 'partitions of the ledger were made');
    if (keepMonths === undefined) return;
    const { dropped, kept } = await dropOldPartitions(keepMonths, clock.now(), sql);
    if (dropped.length)
      log.info({ months: dropped }, 'months of the ledger were dropped, as LEDGER_RETENTION_MONTHS says');
    if (kept.length) log.warn({ months: kept }, 'old months of the ledger stay: usage in them is on no invoice');
  }
}
