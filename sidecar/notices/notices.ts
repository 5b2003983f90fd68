import PQueue from 'p-queue';
import pRetry, { AbortError } from 'p-retry';
import type { Log } from '../../runtime/log.ts';
import type { Notice } from './notice.ts';
import { Refused, type Target } from './target.ts';

/** So many wait for each target: beyond, the youngest are dropped, and counted. */
const MAX_WAITING = 1_000;
const AT_ONCE = 2;
/** Ten tries in about ten minutes. */
const RETRIES = { retries: 9, minTimeout: 500, factor: 2, maxTimeout: 120_000, randomize: true };
const CLOSE_MS = 2_000;

export interface NoticesOptions {
  targets: readonly Target[];
  log: Log;
  retries?: Partial<typeof RETRIES>;
  maxWaiting?: number;
}

type Counts = Record<'sent' | 'dropped' | 'failed', number>;

/**
 * Sends notices to wherever they go, again and again until they are accepted or have been tried for long enough. Nobody waits for it.
 * What waits is in memory: a process that is killed loses it.
 */
export class Notices {
  readonly #options: NoticesOptions;
  readonly #ended = new AbortController();
  readonly #lanes: { target: Target; queue: PQueue; counts: Counts }[];

  constructor(options: NoticesOptions) {
    this.#options = options;
    this.#lanes = options.targets.map((target) => ({
      target,
      queue: new PQueue({ concurrency: AT_ONCE }),
      counts: { sent: 0, dropped: 0, failed: 0 },
    }));
  }

  get counts(): Record<string, Readonly<Counts>> {
    return Object.fromEntries(this.#lanes.map(({ counts, target }) => [target.name, counts]));
  }

  /** Returns at once, and throws nothing. */
  send(notices: readonly Notice[]): void {
    const { maxWaiting = MAX_WAITING } = this.#options;
    for (const notice of notices) {
      for (const { counts, queue, target } of this.#lanes) {
        if (queue.size >= maxWaiting) counts.dropped += 1;
        else void queue.add(() => this.#deliver(target, notice, counts));
      }
    }
  }

  /** Sends what waits, for a while. */
  async close(): Promise<void> {
    const idle = Promise.all(this.#lanes.map(({ queue }) => queue.onIdle()));
    await Promise.race([idle, pause(CLOSE_MS)]);
    this.#ended.abort();
    const left = this.#lanes.reduce((sum, { queue }) => sum + queue.size + queue.pending, 0);
    if (left)
      this.#options.log.warn({ notices: left }, 'notices were not sent, because they were not accepted in time');
    for (const { queue } of this.#lanes) queue.clear();
    await idle.catch(() => {});
  }

  async #deliver(target: Target, notice: Notice, counts: Counts): Promise<void> {
    const { log, retries } = this.#options;
    const { signal } = this.#ended;
    try {
      await pRetry(() => attempt(target, notice, signal), { ...RETRIES, ...retries, signal });
      counts.sent += 1;
    } catch (error) {
      counts.failed += 1;
      const { message } = error as Error;
      log.error({ target: target.name, notice: notice.id, err: { message } }, 'a notice was not accepted');
    }
  }
}

async function attempt(target: Target, notice: Notice, signal: AbortSignal): Promise<void> {
  try {
    await target.send(notice, signal);
  } catch (error) {
    // p-retry takes other TypeErrors than those it knows of fetch for mistakes of ours.
    throw error instanceof Refused ? new AbortError(error.message) : new Error((error as Error).message);
  }
}

const pause = (ms: number) =>
  new Promise<void>((resolve) => {
    setTimeout(resolve, ms).unref();
  });
