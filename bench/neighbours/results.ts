import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Machine } from './machine.ts';
import type { Round } from './round.ts';

export interface SystemResult {
  name: string;
  title: string;
  connections: number;
  rounds: Round[];
}

export interface Results {
  date: string;
  commit: string;
  machine: Machine;
  /** Of each round. */
  seconds: number;
  systems: SystemResult[];
  leftOut: { name: string; why: string }[];
  /** Whose answers or books were wrong. */
  failed: { name: string; why: string }[];
  /** What is measured otherwise: ratios, microseconds of CPU, and bytes of the ledger for an event. */
  others: Record<string, number>;
}

/** Keeps the raw numbers beside those of every run before; gives the file. */
export async function keepResults(folder: string, results: Results): Promise<string> {
  await mkdir(folder, { recursive: true });
  const name = `${results.date.slice(0, 10)}-${results.commit}`;
  const text = `${JSON.stringify(results, undefined, 1)}\n`;
  for (let run = 1; ; run++) {
    const file = join(folder, run === 1 ? `${name}.json` : `${name}-${run}.json`);
    try {
      await writeFile(file, text, { flag: 'wx' });
      return file;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** The middle one of a figure of all rounds; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(half) - 1], sorted[Math.floor(half)]];
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}

export interface Figures {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Of server and store. */
  cpuUs: number;
  generatorUs: number;
  serverMiB: number;
  storeMiB: number;
  storeRequests: number;
  others: number;
}

/** What a system's rounds come to. */
export function figuresOf({ rounds }: Pick<SystemResult, 'rounds'>): Figures {
  const middle = (of: (round: Round) => number) => median(rounds.map(of));
  return {
    perSecond: middle((round) => round.perSecond),
    p50Ms: middle((round) => round.p50Ms),
    p99Ms: middle((round) => round.p99Ms),
    cpuUs: middle((round) => round.cpu.server + round.cpu.store),
    generatorUs: middle((round) => round.cpu.generator),
    serverMiB: middle((round) => round.memory.server),
    storeMiB: middle((round) => round.memory.store),
    storeRequests: middle((round) => round.storeRequests ?? Number.NaN),
    others: middle((round) => round.others),
  };
}
