import { join } from 'node:path';
import type { Clock } from '../../../runtime/clock.ts';
import type { Log } from '../../../runtime/log.ts';
import type { UsageStream } from '../../../schemas/usage-stream.ts';
import { type CounterSettings, type CounterStore, CountersUnavailable } from '../contract.ts';
import { apply, type Effect } from './effect.ts';
import { effectJson } from './effect-json.ts';
import { removeBefore } from './files.ts';
import { Journal } from './journal.ts';
import { recover } from './recover.ts';
import { writeSnapshot } from './snapshot.ts';
import { EmbeddedStore } from './store.ts';
import { Sweep } from './sweep.ts';
import { EmbeddedStream } from './usage-stream.ts';

/** A journal of this size, 23,000 takes of three limits with a record each, was read again in 0.45 s. */
const MAX_JOURNAL_BYTES = 64 * 1024 * 1024;

/** Counters and records looked at for each step: more than a step adds on average, so what is expired goes. */
const SWEEP_BUDGET = 8;

export interface EmbeddedOptions {
  /** The counters are kept in its folder `counters`. Held by one process only: see `lockDataDir`. */
  dataDir: string;
  clock: Clock;
  log: Log;
  settings: CounterSettings;
  maxJournalBytes?: number;
}

export interface Embedded {
  store: CounterStore;
  stream: UsageStream;
  close(): Promise<void>;
}

/**
 * Opens the counters that live in this process, and their usage stream. The journal is closed with the last of the two,
 * so that the worker can still acknowledge when the sidecar has stopped.
 * Throws `DamagedFile` if what is kept cannot be trusted.
 */
export async function createEmbeddedStore(options: EmbeddedOptions): Promise<Embedded> {
  const { clock, log } = options;
  const folder = join(options.dataDir, 'counters');
  const { bytes, file, generation, state } = await recover(folder, log);
  const sweep = new Sweep(state);
  const journal = new Journal({
    folder,
    generation,
    file,
    bytes,
    maxBytes: options.maxJournalBytes ?? MAX_JOURNAL_BYTES,
    log,
    onWritten: (lastEntry) => stream.writtenUpTo(lastEntry),
    onGeneration: async (began) => {
      await writeSnapshot(folder, began, state);
      await removeBefore(folder, began);
    },
  });

  const commit = (effect?: Effect): Promise<void> => {
    if (!effect) return journal.written();
    // First the text: what cannot be written must not be in memory either.
    const json = effectJson(effect);
    apply(state, effect);
    return journal.append(json, state.lastEntry);
  };
  const users = new Set(['store', 'stream']);
  const check = (user: string) => () => {
    if (!users.has(user)) throw new CountersUnavailable(`the counters' ${user} is closed`);
    journal.check();
  };
  const onClose = (user: string) => async () => {
    if (users.delete(user) && users.size === 0) await journal.close();
  };
  const shared = { state, clock, commit, settings: options.settings };
  const sweepSome = (now: number) => sweep.run(now, SWEEP_BUDGET);
  const store = new EmbeddedStore({ ...shared, sweep: sweepSome, check: check('store'), onClose: onClose('store') });
  const stream = new EmbeddedStream({ ...shared, check: check('stream'), onClose: onClose('stream') });
  const close = async (): Promise<void> => {
    await Promise.all([store.close(), stream.close()]);
  };
  return { store, stream, close };
}
