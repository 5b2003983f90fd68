import type { Clock } from '../../../runtime/clock.ts';
import { CountersUnavailable } from '../contract.ts';
import { Distance } from './distance.ts';

/** So many to a call: beyond this a batch saves little and delays what else the server has to do. */
const MAX_BATCH = 64;

/**
 * Nor so much, in characters: a request to Upstash may have 1 MiB on its smaller plans, and characters may take more than
 * one byte. What is larger by itself goes alone, so that it fails nobody else.
 */
const MAX_SIZE = 256 * 1024;

/**
 * So many wait at most, and nobody for longer than so many times as long as one call may take: a store that is slow, and still
 * answers each call in time, would let what arrives faster wait ever longer. Nothing of them was sent, so nothing is taken.
 */
const MAX_WAITING = 10_000;
const MAX_WAITS = 4;

/**
 * Two calls under way, where few are asked or very many: of few the second need not wait until the first is back, of many the server works on
 * one while the other is on its way. Between them what arrives waits for the one that is under way: a call of sixty costs the server
 * and the client less than two of thirty. With 64 callers at once it was 13 % more decisions, in turns, and p50 11.5 → 9.6 ms.
 */
const MAX_CALLS = 2;
const FEW = 2;

/**
 * Where the store is a network away, one more whenever the last has been away for so long: who came just behind it would wait for two ways
 * there and back. With a Redis 10 ms away and 16 callers at once p50 was 24 ms, and is 13; with 64 it was 27 ms, and is 17. Not where it is
 * near: there calls that take as long are kept waiting by a processor, and more of them cost 10 % of the decisions.
 */
const MAX_CALLS_AWAY = 16;
const AWAY_MS = 2;

/**
 * Where each call is paid for, another goes when so many wait for it and not by time: whoever has that many pays for a sixteenth of a call
 * for each. With 64 callers and Upstash's API on the same machine 4 % more decisions, p99 17 → 11 ms.
 */
const WORTH_PAYING = 16;

interface Waiting<Item, Result> {
  item: Item;
  /** On the monotonic clock. */
  since: number;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

export interface GroupCommitOptions {
  clock: Pick<Clock, 'monotonic'>;
  /** How long one call may take, in milliseconds. */
  timeoutMs: number;
  /** Then fewer are better than sooner. */
  callsArePaid: boolean;
}

/**
 * Joins what arrives while calls are in flight into the next call, in order. `call` answers each item of its batch at
 * the same index; when it throws, the whole batch fails. Throws `CountersUnavailable` for an item that finds too many before it, or
 * waited for too long.
 */
export class GroupCommit<Item extends { size: number }, Result> {
  readonly #call: (items: Item[]) => Promise<Result[]>;
  readonly #waiting: Waiting<Item, Result>[] = [];
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #timeoutMs: number;
  readonly #callsArePaid: boolean;
  /** So many that wait are worth a call of their own, beside one of many. */
  readonly #worth: number;
  readonly #distance = new Distance();
  #calls = 0;
  /** When the last call began, on the monotonic clock. */
  #began = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Items of the calls under way. */
  #underWay = 0;

  constructor(call: (items: Item[]) => Promise<Result[]>, { callsArePaid, clock, timeoutMs }: GroupCommitOptions) {
    this.#call = call;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#callsArePaid = callsArePaid;
    this.#worth = callsArePaid ? WORTH_PAYING : MAX_BATCH;
  }

  add(item: Item): Promise<Result> {
    if (this.#waiting.length >= MAX_WAITING) return Promise.reject(tooMany());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, since: this.#clock.monotonic(), resolve, reject });
      // At the end of this turn of the event loop, so that what arrived in one read goes together.
      if (this.#waiting.length === 1 || this.#waiting.length === this.#worth) setImmediate(() => this.#start());
    });
  }

  #start(): void {
    this.#refuseLate();
    while (this.#waiting.length > 0 && this.#mayCall()) void this.#run(this.#waiting.splice(0, this.#batchLength()));
    if (this.#waiting.length > 0 && !this.#callsArePaid && this.#isAway())
      this.#timer ??= setTimeout(this.#later, AWAY_MS);
  }

  readonly #later = () => {
    this.#timer = undefined;
    this.#start();
  };

  #mayCall(): boolean {
    if (this.#calls === 0) return true;
    if (this.#calls < MAX_CALLS && (this.#underWay <= FEW || this.#waiting.length >= this.#worth)) return true;
    if (!this.#isAway()) return false;
    return this.#callsArePaid ? this.#waiting.length >= this.#worth : this.#clock.monotonic() - this.#began >= AWAY_MS;
  }

  /**
   * Whether another call may go only because those under way are long away. A server that is slow with every call looks as if it were far: so
   * many that one that does them in turn is through with them in half of the time that a call may take.
   */
  #isAway(): boolean {
    const { ms } = this.#distance;
    if (ms < AWAY_MS) return false;
    return this.#calls < Math.min(MAX_CALLS_AWAY, Math.floor(this.#timeoutMs / (2 * ms)));
  }

  /** Those who came first stand first. */
  #refuseLate(): void {
    const since = this.#clock.monotonic() - MAX_WAITS * this.#timeoutMs;
    const inTime = this.#waiting.findIndex((one) => one.since > since);
    const late = this.#waiting.splice(0, inTime < 0 ? this.#waiting.length : inTime);
    for (const { reject } of late) reject(tooMany());
  }

  #batchLength(): number {
    let size = 0;
    for (let length = 0; length < MAX_BATCH; length++) {
      size += this.#waiting[length]?.item.size ?? 0;
      if (length > 0 && size > MAX_SIZE) return length;
    }
    return MAX_BATCH;
  }

  async #run(batch: Waiting<Item, Result>[]): Promise<void> {
    const began = this.#clock.monotonic();
    this.#began = began;
    this.#calls += 1;
    this.#underWay += batch.length;
    try {
      const results = await this.#call(batch.map(({ item }) => item));
      this.#distance.note(this.#clock.monotonic() - began);
      batch.forEach(({ resolve }, index) => {
        resolve(results[index] as Result);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      this.#calls -= 1;
      this.#underWay -= batch.length;
      this.#start();
    }
  }
}

const tooMany = () => new CountersUnavailable('the counters are slow, and too many takes wait for them');
