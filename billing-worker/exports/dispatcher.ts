import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from 'postgres';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import { readInvoice } from '../invoices/read.ts';
import { retry } from '../retry.ts';
import { type Claim, Outbox } from './outbox.ts';
import { NotSent, type Target } from './target.ts';

const EVERY_MS = 2_000;
/** How long a worker may be silent about what it has taken before another takes it over. It renews in between. */
const LEASE_MS = 60_000;
const AT_ONCE = 4;
/** From the second look on only for what was finalised since: by a clock that may go wrong, in a statement that may take long. */
const LOOK_BACK_MS = 86_400_000;
/** 10 s, 20 s and so on to two hours: given up after about three days. */
const FIRST_WAIT_MS = 10_000;
const LONGEST_WAIT_MS = 7_200_000;
const MAX_ATTEMPTS = 45;

export interface DispatcherDeps {
  sql: Sql;
  target: Target;
  /** Told of each attempt. */
  onAttempt?: (result: AttemptResult) => void;
  clock: Clock;
  log: Log;
  everyMs?: number;
  leaseMs?: number;
  firstWaitMs?: number;
}

export type AttemptResult = 'delivered' | 'retried' | 'failed';

/**
 * Sends finalised invoices and credit notes to a target, as the outbox says. Any number of workers may do so at once. What a
 * worker has sent and not recorded, because it was killed, is sent again: the target drops the repetition by the invoice's id.
 */
export class Dispatcher {
  readonly #deps: DispatcherDeps;
  readonly #outbox: Outbox;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #lookedAt = 0;

  constructor(deps: DispatcherDeps) {
    this.#deps = deps;
    this.#outbox = new Outbox(deps.target.name, deps.sql);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Breaks off what is being sent; it is sent again later. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, everyMs = EVERY_MS, log } = this.#deps;
    const { signal } = this.#stopping;
    const pause = (milliseconds: number) => sleep(milliseconds, undefined, { signal }).catch(() => {});
    try {
      await retry(() => this.#outbox.open(clock.now()), { what: 'opening the outbox', log, signal, pause });
      while (!signal.aborted) {
        const sent = await retry(() => this.round(), { what: 'the outbox of invoices', log, signal, pause });
        if (sent === 0) await pause(everyMs);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Sends what is due, and tells how many that were. Throws if the database is away. */
  async round(): Promise<number> {
    const { clock, leaseMs = LEASE_MS } = this.#deps;
    const now = clock.now();
    await this.#outbox.enqueue(this.#lookedAt && this.#lookedAt - LOOK_BACK_MS);
    this.#lookedAt = now;
    const claims = await this.#outbox.claim({ leaseMs, limit: AT_ONCE });
    await Promise.all(claims.map((claim) => this.#deliver(claim)));
    return claims.length;
  }

  async #deliver(claim: Claim): Promise<void> {
    const { leaseMs = LEASE_MS, log, target } = this.#deps;
    const renewing = setInterval(() => void this.#outbox.renew(claim, leaseMs).catch(() => {}), leaseMs / 3);
    try {
      const externalId = await this.#send(claim);
      await this.#outbox.delivered(claim, externalId);
      this.#deps.onAttempt?.('delivered');
      log.info({ invoice: claim.invoiceId, target: target.name, external_id: externalId }, 'invoice delivered');
    } catch (error) {
      if (this.#stopping.signal.aborted) await this.#outbox.renew(claim, 0);
      else await this.#failed(claim, error);
    } finally {
      clearInterval(renewing);
    }
  }

  async #send(claim: Claim): Promise<string | undefined> {
    const { sql, target } = this.#deps;
    const found = await readInvoice(claim.invoiceId, sql);
    if (!found) throw new Error(`there is no invoice ${claim.invoiceId}`);
    if (found.state === 'void' && !claim.externalId) {
      throw new NotSent('the invoice was void before it was sent', { final: true });
    }
    const { attempts, createdAt, externalId, refusals } = claim;
    const delivery = {
      document: JSON.parse(found.document),
      text: found.document,
      first: attempts === 1,
      attempts,
      refusals,
      createdAt,
      externalId,
      remember: (id: string) => this.#outbox.remember(claim, id),
    };
    return unlessAborted(target.send(delivery, this.#stopping.signal), this.#stopping.signal);
  }

  async #failed(claim: Claim, error: unknown): Promise<void> {
    const { firstWaitMs = FIRST_WAIT_MS, log, target } = this.#deps;
    // Other errors may name hosts, and what is in their URLs.
    const reason = error instanceof NotSent ? error : new NotSent('it could not be sent; see the log of the worker');
    if (!(error instanceof NotSent)) log.error({ err: error, invoice: claim.invoiceId }, 'sending an invoice failed');
    const final = reason.final || claim.attempts >= MAX_ATTEMPTS;
    const longest = Math.min(LONGEST_WAIT_MS, firstWaitMs * 2 ** Math.min(claim.attempts - 1, 30));
    const waitMs = longest * (0.5 + Math.random() / 2);
    const { answered, message } = reason;
    const context = { invoice: claim.invoiceId, target: target.name, attempts: claim.attempts, reason: message };
    if (final) log.error(context, 'an invoice was NOT delivered, and is not tried again by itself');
    else log.warn(context, 'an invoice was not delivered; it is tried again');
    this.#deps.onAttempt?.(final ? 'failed' : 'retried');
    await this.#outbox.failed(claim, { answered, error: message, final, waitMs });
  }
}

/** What `work` gives, or at once the reason of the abort: a receiver that hangs holds up no shutdown. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', stop));
}
