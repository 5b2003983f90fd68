import { ErrorReply } from 'redis';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import { CountersUnavailable } from './contract.ts';
import type { Connection } from './redis/connection.ts';

export interface BreakerOptions {
  clock: Clock;
  log: Log;
  /** So many calls in a row without an answer open it. */
  failures?: number;
  /** Wait before the first probe, in milliseconds; doubled after each that fails. */
  firstWaitMs?: number;
  longestWaitMs?: number;
  /** Each wait is cut by up to half, so that many sidecars do not come back together: a number from 0 to 1. */
  random?: () => number;
  /** Whether what a call threw means that the store is away. */
  isAway?: (error: unknown) => boolean;
}

/**
 * Stops the waiting: a store that was away for two calls in a row is not asked any more, and every call throws
 * `CountersUnavailable` at once. After the first of the two, the next call waits for what is under way: if that fails too,
 * it is not made, so nobody waits for longer than one time-out. What is under way is waited for, because it may be done.
 *
 * A probe (`ping`) then asks again and again, one at a time, after waits that double up to a limit; the first that is
 * answered closes the breaker. No caller waits for a probe, and none is needed for one.
 *
 * Not every failure means that the store is away. It is, where asking costs a wait, or where the server would refuse
 * whatever it is asked; it is not, where another call might fare better.
 *
 * | what comes | opens | because |
 * |---|---|---|
 * | no connection, connection lost, no answer in time | yes | each caller would wait for it |
 * | `LOADING` | yes | reads its files, answers nothing until it is done |
 * | `BUSY` | yes | a script does not end, nothing else is run |
 * | `MASTERDOWN`, `READONLY` | yes | a replica: it takes nothing before a failover is over, or another server is reached |
 * | `NOREPLICAS`, `MISCONF` | yes | every write is refused until replicas or its disk are back |
 * | `CLUSTERDOWN` | yes | slots have no server; the cluster refuses until they have |
 * | `OOM` | no | keys expire and the worker trims at any moment, records can be read, and it is told at once |
 * | `MOVED`, `ASK`, `TRYAGAIN`, `CROSSSLOT` | no | about the keys of this call |
 * | `NOSCRIPT` | no | about this script: it is sent along and known from then on |
 * | `NOPERM`, `WRONGTYPE`, `ERR` and any other | no | about this call; the server answers others |
 *
 * cockatiel 3.2 (4 needs Node 22) and opossum 9 were looked at. cockatiel lets callers wait for the probe, and reads the
 * wall clock: set back by an hour, it leaves an open breaker open for an hour. opossum opens at a share of errors, and its
 * waits do not grow.
 */
export function withBreaker(connection: Connection, options: BreakerOptions): Connection {
  const breaker = new Breaker(() => connection.ping(), options);
  return {
    callsArePaid: connection.callsArePaid,
    run: (script, keys, args) => breaker.call(() => connection.run(script, keys, args)),
    get: (key) => breaker.call(() => connection.get(key)),
    getFields: (key, fields) => breaker.call(() => connection.getFields(key, fields)),
    ping: () => breaker.call(() => connection.ping()),
    close: () => {
      breaker.close();
      return connection.close();
    },
  };
}

const AWAY = /^(LOADING|BUSY|MASTERDOWN|READONLY|NOREPLICAS|MISCONF|CLUSTERDOWN)\b/;

/** As in the table above, for what a `Connection` to Redis throws. */
export function isRedisAway(error: unknown): boolean {
  if (!(error instanceof CountersUnavailable)) return false;
  return !(error.cause instanceof ErrorReply) || AWAY.test(error.cause.message);
}

class Breaker {
  readonly #probe: () => Promise<void>;
  readonly #options: Required<BreakerOptions>;
  /** Calls in a row without an answer. */
  #failures = 0;
  /** Set while it is open or half open. */
  #open: { since: number; reason: unknown; probes: number } | undefined;
  #underWay = 0;
  /** Those who wait for the next of what is under way to end. */
  readonly #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(probe: () => Promise<void>, options: BreakerOptions) {
    this.#probe = probe;
    this.#options = {
      failures: 2,
      firstWaitMs: 100,
      longestWaitMs: 1_000,
      random: Math.random,
      isAway: isRedisAway,
      ...options,
    };
  }

  async call<Result>(work: () => Promise<Result>): Promise<Result> {
    while (!this.#open && this.#failures && this.#underWay) await this.#nextEnd();
    if (this.#open) throw refusal(this.#open.reason);
    this.#underWay += 1;
    try {
      const result = await work();
      this.#failures = 0;
      return result;
    } catch (error) {
      if (this.#options.isAway(error)) this.#failed(error);
      else this.#failures = 0;
      throw error;
    } finally {
      this.#underWay -= 1;
      for (const goOn of this.#waiting.splice(0)) goOn();
    }
  }

  #nextEnd(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #failed(reason: unknown): void {
    this.#failures += 1;
    // What was under way when it opened says nothing new.
    if (this.#open || this.#failures < this.#options.failures) return;
    this.#open = { since: this.#options.clock.monotonic(), reason, probes: 0 };
    this.#options.log.error({ err: reason }, 'the counters are away; not asked until a probe is answered');
    this.#probeLater(this.#open.probes);
  }

  #probeLater(probes: number): void {
    if (this.#closed) return;
    const { firstWaitMs, longestWaitMs, random } = this.#options;
    const wait = Math.min(longestWaitMs, firstWaitMs * 2 ** probes) * (1 - random() / 2);
    this.#timer = setTimeout(() => void this.#tryAgain(), wait).unref();
  }

  /** Half open: this is the only call that is made. */
  async #tryAgain(): Promise<void> {
    const open = this.#open;
    if (!open) return;
    try {
      await this.#probe();
    } catch (error) {
      if (this.#options.isAway(error)) {
        open.reason = error;
        open.probes += 1;
        return this.#probeLater(open.probes);
      }
    }
    this.#open = undefined;
    this.#failures = 0;
    const ms = Math.round(this.#options.clock.monotonic() - open.since);
    this.#options.log.info({ away_ms: ms }, 'the counters are back');
  }
}

/** The store is away, and was not asked: the breaker is open. */
export class NotAsked extends CountersUnavailable {}

/** Without a `cause`: an outage is logged with each request that it refuses, and its reason is in the log already. */
const refusal = (reason: unknown) => new NotAsked(`${(reason as Error).message} (not asked again until it answers)`);
