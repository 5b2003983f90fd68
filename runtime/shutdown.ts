import type { Log } from './log.ts';

type Close = () => Promise<unknown> | unknown;

/** What has to be closed, in the reverse order of its opening. Closing twice does nothing the second time. */
export class Closers {
  readonly #entries: { name: string; close: Close }[] = [];
  #closing: Promise<void> | undefined;

  add(name: string, close: Close): void {
    this.#entries.push({ name, close });
  }

  /** Closes everything, also what comes after a failure, and throws the failures together. */
  closeAll(): Promise<void> {
    this.#closing ??= this.#closeEach();
    return this.#closing;
  }

  async #closeEach(): Promise<void> {
    const failures: unknown[] = [];
    for (const { name, close } of this.#entries.reverse()) {
      try {
        await close();
      } catch (error) {
        failures.push(new Error(`closing ${name} failed`, { cause: error }));
      }
    }
    if (failures.length) throw new AggregateError(failures, 'not everything could be closed');
  }
}

/** How long a shutdown may take before the process ends all the same. */
export const GRACE_MS = 10_000;

/**
 * SIGINT and SIGTERM close everything and end the process with 0; a second signal, or a close that hangs, ends it with 1. What it
 * gives does the same as the first signal.
 */
export function closeOnSignals(
  closers: Closers,
  log: Log,
  exit: (code: number) => void,
  graceMs = GRACE_MS,
): () => void {
  let stopping = false;
  const stop = (signal?: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'shutting down');
    setTimeout(() => {
      log.error(`shutdown took more than ${graceMs} ms`);
      exit(1);
    }, graceMs).unref();
    closers.closeAll().then(
      () => exit(0),
      (error) => {
        log.error({ err: error }, 'shutdown failed');
        exit(1);
      },
    );
  };
  const signalled = (signal: NodeJS.Signals) => (stopping ? exit(1) : stop(signal));
  process.on('SIGINT', signalled);
  process.on('SIGTERM', signalled);
  return () => stop();
}
