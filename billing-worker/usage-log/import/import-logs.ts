import { setTimeout as sleep } from 'node:timers/promises';
import type { Ask } from './ask.ts';
import type { Counts } from './counts.ts';
import { importFile } from './import-file.ts';
import { LogFile } from './log-file.ts';
import type { Patience } from './patiently.ts';
import type { Format } from './read-line.ts';
import { type Settled, type SettleOptions, Settler } from './settle.ts';

export interface ImportOptions {
  files: string[];
  format: Format;
  /** Undefined: once. */
  everyMs: number | undefined;
  worker: Ask;
  /** Undefined: nothing is settled. */
  settle: Pick<SettleOptions, 'sidecar' | 'bytesPerToken' | 'olderThanS'> | undefined;
  /** Ends it, in order. */
  signal: AbortSignal;
  /** What was done. */
  report: (line: string) => void;
  /** What went wrong and is tried again. */
  say: (line: string) => void;
}

/** Who has not been reported for a quarter of an hour can wait as long as this; to look is a scan of the day's decisions. */
const SETTLE_EVERY_MS = 300_000;

/**
 * Imports access logs into the ledger, once, or again and again until it is aborted. Resolves with whether all could be
 * read. Throws what the worker, or the sidecar, refuses for good.
 */
export async function importLogs(options: ImportOptions): Promise<boolean> {
  const files = options.files.map((path) => new LogFile(path));
  const patience: Patience = { ...options, endless: options.everyMs !== undefined };
  const settler = options.settle && new Settler({ ...options.settle, worker: options.worker, patience });
  try {
    for (let round = 0; ; round++) {
      const isComplete = await importAll(files, patience, options);
      const { everyMs, signal } = options;
      const settles = everyMs === undefined || round % Math.ceil(SETTLE_EVERY_MS / everyMs) === 0;
      if (settler && settles && !signal.aborted) tellSettled(await settler.run(), options);
      if (everyMs === undefined) return isComplete;
      await sleep(everyMs, undefined, { signal });
    }
  } catch (error) {
    if (options.signal.aborted) return true;
    throw error;
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

async function importAll(files: LogFile[], patience: Patience, options: ImportOptions): Promise<boolean> {
  const { everyMs, format, report, worker } = options;
  const all: Counts[] = [];
  for (const file of files) {
    if (options.signal.aborted) break;
    const counts = await importFile(file, { worker, patience, format, final: everyMs === undefined });
    if (everyMs === undefined || counts.read || !counts.isComplete) report(counts.told(file.path));
    all.push(counts);
  }
  return all.every(({ isComplete }) => isComplete);
}

function tellSettled({ refused, settled, voided }: Settled, { everyMs, report }: ImportOptions): void {
  if (everyMs !== undefined && refused + settled + voided === 0) return;
  report(`${settled} calls settled by their bytes, ${voided} voided, ${refused} that the sidecar would not settle`);
}
