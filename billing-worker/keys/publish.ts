import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from 'postgres';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import type { ApiKeyStore } from '../../sidecar/counters/api-keys.ts';
import { retry } from '../retry.ts';
import { ledgerKeys } from './ledger-keys.ts';

/** So many keys are put into the store at once: 200 kB. */
const CHUNK = 500;
const EVERY_MS = 1_000;
/** A store that was put back to an older state has keys, but not the latest: nobody can tell, so all are published again. */
const ALL_EVERY_MS = 600_000;
/** A key that has ended is refused by the store that has it for this long, and then because nobody has it. */
const KEPT_AFTER_END_MS = 30 * 86_400_000;

export interface KeyPublisherDeps {
  sql: Sql;
  store: Pick<ApiKeyStore, 'partitionsWithoutApiKeys' | 'publishApiKeys'>;
  /** How many the store is spread over. */
  partitions: number;
  clock: Clock;
  log: Log;
  everyMs?: number;
  allEveryMs?: number;
}

/**
 * Gives a store that has lost its API keys those of the ledger back: looks each second which partitions lack them, and
 * publishes those of all at the start and every ten minutes. The store takes no state that is older than its own, so any
 * number of workers may do so at once, at any time.
 */
export class KeyPublisher {
  readonly #deps: KeyPublisherDeps;
  readonly #stopping = new AbortController();
  /** What is still to be published. */
  readonly #due = new Set<number>();
  #allAt = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;

  constructor(deps: KeyPublisherDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Finishes the chunk at hand. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { everyMs = EVERY_MS, log } = this.#deps;
    const { signal } = this.#stopping;
    const pause = (milliseconds: number) =>
      sleep(Math.min(milliseconds, everyMs), undefined, { signal }).catch(() => {});
    while (!signal.aborted) {
      try {
        await retry(() => this.#round(), { what: 'publishing API keys', log, signal, pause });
      } catch (error) {
        if (!signal.aborted) throw error;
      }
      await pause(everyMs);
    }
  }

  /** Publishes what is due, and throws the first failure of the store after the others have had their turn. */
  async #round(): Promise<void> {
    const { allEveryMs = ALL_EVERY_MS, clock, partitions, store } = this.#deps;
    if (clock.monotonic() >= this.#allAt) {
      for (let partition = 0; partition < partitions; partition++) this.#due.add(partition);
      this.#allAt = clock.monotonic() + allEveryMs;
    }
    const failures: unknown[] = [];
    const lacking = await store.partitionsWithoutApiKeys().catch((error): number[] => {
      failures.push(error);
      return [];
    });
    for (const partition of lacking) this.#due.add(partition);
    for (const partition of [...this.#due]) await this.#publish(partition, lacking.includes(partition), failures);
    this.#tell(lacking);
    if (failures.length) throw failures[0];
  }

  /**
   * Throws if the ledger is away, for then it is so for every partition. Only of a partition that lacked its keys it is said
   * that they are complete: of another one that is emptied meanwhile, the first ones may be gone again.
   */
  async #publish(partition: number, lacked: boolean, failures: unknown[]): Promise<void> {
    const { clock, sql, store } = this.#deps;
    const endedSince = clock.now() - KEPT_AFTER_END_MS;
    let after = '';
    for (let last = false; !last && !this.#stopping.signal.aborted; ) {
      const keys = await ledgerKeys({ partition, endedSince, after, limit: CHUNK }, sql);
      last = keys.length < CHUNK;
      after = keys.at(-1)?.id ?? after;
      try {
        if (keys.length || lacked) await store.publishApiKeys({ partition, keys, complete: last && lacked });
      } catch (error) {
        failures.push(error);
        return;
      }
      if (last) this.#due.delete(partition);
    }
  }

  #tell(lacking: number[]): void {
    const done = lacking.filter((partition) => !this.#due.has(partition));
    if (done.length)
      this.#deps.log.info({ partitions: done }, 'the store had no API keys of the ledger; it has them now');
  }
}
