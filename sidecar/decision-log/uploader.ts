import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import { Rarely } from '../../runtime/rarely.ts';
import { type Batch, batches } from './batches.ts';
import type { DecisionLogCounts } from './counts.ts';
import type { SinkStatus } from './sink.ts';
import type { Spool } from './spool.ts';
import type { Segment } from './spool-segment.ts';

/** An event waits so long for others to go with it. */
const GATHER_MS = 1_000;

/** OPA's: from 100 ms, doubled with each failure in a row, here to a minute; and between half and all of that. */
const RETRY_MS = 100;
const MAX_RETRY_MS = 60_000;

/** At the end, what waits is sent for so long. */
const LAST_MS = 2_000;

/** Refusals that concern the one batch: the others have their turn before it. */
const REFUSED = new Set([400, 413, 415, 422]);

export interface UploaderOptions {
  spool: Spool;
  /** The service's address: uploads go to `<url>/logs`. */
  url: string;
  token: string | undefined;
  /** Of one upload, compressed. */
  maxBytes: number;
  timeoutMs: number;
  counts: DecisionLogCounts;
  clock: Clock;
  log: Log;
  gatherMs?: number;
  maxRetryMs?: number;
}

/**
 * Sends what is spooled, one upload at a time, until the service accepts it (2xx). An upload whose answer is lost is sent
 * again, so the service may see an event twice: its `decision_id` tells.
 */
export class Uploader {
  readonly #options: Required<UploaderOptions>;
  readonly #target: URL;
  readonly #said: Rarely;
  /** Ends the last upload too. */
  readonly #end = new AbortController();
  #stopping = false;
  #running: Promise<void> | undefined;
  #failures = 0;
  #problem: number | string | undefined;
  #wake: () => void = () => {};

  constructor(options: UploaderOptions) {
    this.#options = { gatherMs: GATHER_MS, maxRetryMs: MAX_RETRY_MS, ...options };
    this.#target = new URL(options.url);
    this.#target.pathname = `${this.#target.pathname.replace(/\/+$/, '')}/logs`;
    this.#said = new Rarely(options.clock);
  }

  /** Why the last upload came to nothing, in OPA's words; undefined: it did not. */
  get problem(): SinkStatus['upload'] {
    const problem = this.#problem;
    if (problem === undefined) return undefined;
    return typeof problem === 'number'
      ? { message: `log upload failed, server replied with HTTP ${problem}`, httpStatus: problem }
      : { message: `log upload failed: ${problem}`, httpStatus: undefined };
  }

  start(): void {
    this.#running = this.#run().catch((error: unknown) => {
      this.#options.log.error({ err: error }, 'decision logs are not uploaded any more');
    });
  }

  /** Something may be due. */
  notify(): void {
    if (this.#failures === 0 && this.#options.spool.due(this.#options.gatherMs)) this.#wake();
  }

  /** Sends what waits, as long as the service accepts it. The rest stays in the spool. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake();
    const timer = setTimeout(() => this.#end.abort(), LAST_MS);
    await this.#running;
    let going = this.#failures === 0;
    while (going && !this.#end.signal.aborted) going = await this.#sendNext();
    clearTimeout(timer);
  }

  async #run(): Promise<void> {
    const { gatherMs, spool } = this.#options;
    while (!this.#stopping) {
      if (!spool.due(gatherMs)) await this.#pause(gatherMs);
      else if (!(await this.#sendNext())) await this.#pause(this.#delay());
    }
  }

  /** False: there is none, or not all of it was accepted. */
  async #sendNext(): Promise<boolean> {
    const { counts, maxBytes, spool } = this.#options;
    const segment = await spool.next();
    if (!segment) return false;
    const events = await spool.read(segment);
    const parts = await batches(events, maxBytes, () => {
      counts.drop('too_large');
      segment.events -= 1;
    });
    for (const [index, batch] of parts.entries()) {
      if (await this.#accepted(segment, batch)) continue;
      const rest = parts.slice(index).flatMap((part) => part.events);
      await spool.release(segment, rest.length < events.length ? rest : undefined);
      return false;
    }
    await spool.finish(segment);
    return true;
  }

  async #accepted(segment: Segment, batch: Batch): Promise<boolean> {
    const { counts, log, spool } = this.#options;
    const problem = await this.#post(batch.body);
    this.#problem = problem;
    if (problem === undefined) {
      segment.events -= batch.events.length;
      counts.uploaded += batch.events.length;
      if (this.#failures > 0) log.info({ after: this.#failures }, 'decision logs are uploaded again');
      this.#failures = 0;
      return true;
    }
    this.#failures += 1;
    counts.uploadFailures += 1;
    if (typeof problem === 'number' && REFUSED.has(problem)) spool.postpone(segment);
    if (this.#said.due()) {
      const what = typeof problem === 'number' ? `the service answers ${problem}` : problem;
      log.warn({ failures: this.#failures }, `decision logs cannot be uploaded and wait in DATA_DIR: ${what}`);
    }
    return false;
  }

  /** Undefined: accepted. Else the status, or what went wrong. */
  async #post(body: Buffer): Promise<number | string | undefined> {
    const { timeoutMs, token } = this.#options;
    try {
      const response = await fetch(this.#target, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          'Content-Encoding': 'gzip',
          ...(token !== undefined && { Authorization: `Bearer ${token}` }),
        },
        body,
        // The token is for this address alone.
        redirect: 'manual',
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#end.signal]),
      });
      await response.body?.cancel();
      return response.ok ? undefined : response.status;
    } catch (error) {
      const { cause, message } = error as Error & { cause?: { code?: string } };
      return cause?.code ?? message;
    }
  }

  #delay(): number {
    const most = Math.min(this.#options.maxRetryMs, RETRY_MS * 2 ** Math.min(Math.max(this.#failures - 1, 0), 20));
    return most * (0.5 + Math.random() / 2);
  }

  #pause(ms: number): Promise<void> {
    if (this.#stopping) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
