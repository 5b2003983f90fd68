import { createHash } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import type { CounterStore, Denial, TakeRequest, TakeResult } from '../counters/contract.ts';
import { CallerKeys } from './caller-keys.ts';
import { type Caller, callerKey, type DenialCount, DenialCounts } from './denial-counts.ts';
import { KeptDenials, type Place } from './kept-denials.ts';

const EVERY_MS = 1_000;

/**
 * So many callers are told apart in one second, and while counts wait to be written. Measured with three times as many:
 * 12 MB with usual names, 31 MB with the longest.
 */
const MAX_CALLERS = 10_000;

/** So many counts are written at once. */
const BATCH = 100;

/** Why the store refused a take, as its own event would say. */
const REASONS: Partial<Record<TakeResult['kind'], string>> = { refused: 'rate_limited', closed: 'revoked_key' };

export interface DenialsDeps {
  store: Pick<CounterStore, 'take' | 'deny' | 'partitionOf'>;
  clock: Clock;
  log: Log;
  maxCallers?: number;
}

/**
 * Counts every denial, and keeps a flood of them from filling the usage stream. A caller is a tenant's user and agent, as
 * far as the request names them, with one credential and from one address. Up to 10 denials a second and caller leave an event each; the rest is counted here, and
 * written each second as one `denied` event per caller, with the caller's names, the most frequent of the reasons, and
 * the count. Its decision id is `<sidecar>:<caller>:<second>.<partition>`, so its event id ends with `:denied`:
 * - sidecar: a UUID of this process;
 * - caller: 22 characters of a digest of its names (the names themselves could be longer than an index takes);
 * - second: epoch seconds when it was written, by the clock as it was when the process started. Never twice the same.
 *
 * While the store is away the counts stay here, and are written when it is back. A count whose write was not answered is
 * written again, so a connection that breaks between the two may count up to a second of a flood twice; none is left out.
 * A process that is killed loses what it has not written: at most a second of the flood, if the store was there.
 */
export class Denials {
  readonly #deps: DenialsDeps;
  readonly #sidecar: string;
  readonly #kept: KeptDenials;
  readonly #keys = new CallerKeys();
  readonly #counts: DenialCounts;
  /** Added to the monotonic clock it gives epoch milliseconds, whoever sets the wall clock meanwhile. */
  readonly #epoch: number;
  #second = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failing = false;

  constructor(deps: DenialsDeps) {
    const { clock, maxCallers = MAX_CALLERS } = deps;
    this.#deps = deps;
    this.#sidecar = uuidv7({ msecs: clock.now() });
    this.#kept = new KeptDenials(clock, maxCallers);
    this.#counts = new DenialCounts(maxCallers);
    this.#epoch = clock.now() - clock.monotonic();
  }

  /** Denials that are counted here and not in the usage stream yet. */
  get unwritten(): number {
    return this.#counts.total;
  }

  /** Takes, and sees to it that a refusal is counted. Rejects with what `CounterStore.take` throws. */
  take(request: TakeRequest): Promise<TakeResult> {
    const place = this.#kept.place(this.#keys.of(request.event, request.plan));
    return this.#deps.store.take(place ? request : { ...request, quiet: true }).then(
      (result) => this.#taken(request, result, place),
      (error) => {
        if (place) this.#kept.giveBack(place);
        throw error;
      },
    );
  }

  /** A refusal keeps its place; one that has none is counted here. */
  #taken({ decisionId, event }: TakeRequest, result: TakeResult, place: Place | undefined) {
    const reason = REASONS[result.kind];
    if (reason === undefined && place) this.#kept.giveBack(place);
    return reason === undefined || place ? result : this.deny({ decisionId, event, reason }).then(() => result);
  }

  /** Counts a request that was refused before anything could be taken. */
  async deny(denial: Denial): Promise<void> {
    const { event, reason } = denial;
    if (this.#kept.place(callerKey(event))) {
      try {
        return await this.#deps.store.deny(denial);
      } catch (error) {
        this.#failed(error);
      }
    }
    this.#counts.add(event, reason);
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#writing = this.write().then(() => {
        if (this.#timer) this.start();
      });
    }, EVERY_MS);
    this.#timer.unref();
  }

  /** Writes what is left, while the store is still there. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing;
    await this.write();
    if (this.unwritten) this.#deps.log.error({ count: this.unwritten }, 'denials that were counted here are lost');
  }

  /** Writes what was counted since the last time; what cannot be written stays counted. */
  async write(): Promise<void> {
    const waiting = this.#counts.drain();
    if (waiting.length === 0) return;
    this.#second = Math.max(this.#second + 1, Math.floor((this.#epoch + this.#deps.clock.monotonic()) / 1_000));
    let away = false;
    for (let from = 0; from < waiting.length; from += BATCH) {
      const batch = waiting.slice(from, from + BATCH);
      const failed: DenialCount[] = away ? batch : await this.#writeBatch(batch);
      for (const count of failed) this.#counts.putBack(count);
      // One that fails may be about itself or its partition; where all do, the rest is not tried.
      away = failed.length === batch.length;
    }
    if (!this.unwritten) this.#failing = false;
  }

  /** Gives back what could not be written. */
  async #writeBatch(batch: DenialCount[]): Promise<DenialCount[]> {
    const results = await Promise.allSettled(batch.map(async (count) => this.#deps.store.deny(this.#denialOf(count))));
    for (const result of results) if (result.status === 'rejected') this.#failed(result.reason);
    return batch.filter((_, index) => results[index]?.status === 'rejected');
  }

  #denialOf({ caller, reasons }: DenialCount): Denial {
    const partition = this.#deps.store.partitionOf(caller.tenant_id);
    const [[reason] = ['']] = [...reasons].toSorted(([, a], [, b]) => b - a);
    return {
      decisionId: `${this.#sidecar}:${digest(caller)}:${this.#second}.${partition}`,
      event: caller,
      reason,
      count: [...reasons.values()].reduce((sum, times) => sum + times, 0),
    };
  }

  /** The store that is away is said to be away by every decision; once is enough here. */
  #failed(error: unknown): void {
    if (!this.#failing) this.#deps.log.warn({ err: error }, 'denials cannot be written yet, and are counted here');
    this.#failing = true;
  }
}

const digest = (caller: Caller) => createHash('sha256').update(callerKey(caller)).digest('base64url').slice(0, 22);
