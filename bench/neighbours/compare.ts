import { setTimeout as sleep } from 'node:timers/promises';
import { TooManyRefused } from './load.ts';
import { commit, machine } from './machine.ts';
import { OTHERS } from './others.ts';
import type { Results, SystemResult } from './results.ts';
import { loadOf, measureRound, type Round, type Started, warmUp } from './round.ts';
import { LeftOut, type System } from './system.ts';
import { SYSTEMS } from './systems/all.ts';
import type { Tools } from './tools.ts';

export interface Options {
  /** Names of systems and other figures; undefined: all. */
  only?: string[] | undefined;
  /** Of a round. */
  seconds: number;
  rounds: number;
  /** Answers before the first round, in which Node compiles what it will compile; default 50,000: until then its CPU for a decision fell from 204 to 161 µs, measured. */
  warmUp?: number;
}

type Log = (line: string) => void;
type Entry = Started & { rounds: Round[] };
type Notes = Pick<Results, 'failed' | 'leftOut'>;

/**
 * All systems are up all the time and take turns, so that a busy moment of the machine is in all of them. One whose answers are
 * wrong is out, and named; so is one that this machine cannot have.
 */
export async function compare(options: Options, tools: Tools, log: Log): Promise<Results> {
  const { only, rounds, seconds, warmUp: answers = 50_000 } = options;
  // Before anything is measured: what is committed meanwhile is not what ran.
  const about = {
    date: new Date().toISOString(),
    commit: await commit(tools.root),
    machine: await machine(tools.node),
    seconds,
  };
  const notes: Notes = { failed: [], leftOut: [] };
  const entries: Entry[] = [];
  const chosen = choose(only);
  try {
    for (const system of chosen) {
      const running = await start(system, tools, notes);
      if (running) entries.push({ system, running, rounds: [] });
    }
    const all = (work: (entry: Entry) => Promise<string>) => eachInTurn(entries, work, notes, log);
    await all(async (entry) => {
      await warmUp(entry, answers, tools);
      return 'ready, its answers are right';
    });
    for (let round = 1; round <= rounds; round++) {
      await all(async (entry) => {
        const measured = await measureRound(entry, seconds, tools);
        entry.rounds.push(measured);
        return `round ${round} of ${rounds}: ${Math.round(measured.perSecond)}/s`;
      });
    }
  } finally {
    for (const { running } of entries.toReversed()) await running.stop();
  }
  const others = await measureOthers(only, tools, log);
  return { ...about, systems: entries.map(resultOf), ...notes, others };
}

function choose(only: string[] | undefined): System[] {
  const all = [...SYSTEMS, ...OTHERS].map(({ name }) => name);
  const unknown = only?.filter((name) => !all.includes(name)) ?? [];
  if (unknown.length === 0) return SYSTEMS.filter(({ name }) => !only || only.includes(name));
  throw new Error(`there is no ${unknown.join(', ')}; there is ${all.join(', ')}`);
}

async function start(system: System, tools: Tools, { leftOut }: Notes) {
  try {
    return await system.start(tools);
  } catch (error) {
    if (!(error instanceof LeftOut)) throw new Error(`${system.name}: ${messageOf(error)}`, { cause: error });
    leftOut.push({ name: system.name, why: error.message });
    return undefined;
  }
}

/** Whoever fails is taken out. */
async function eachInTurn(
  entries: Entry[],
  work: (entry: Entry) => Promise<string>,
  { failed }: Notes,
  log: Log,
): Promise<void> {
  for (const entry of [...entries]) {
    const { running, system } = entry;
    try {
      log(`${system.name}: ${await upToThreeTimes(() => work(entry))}`);
    } catch (error) {
      log(`${system.name}: ${messageOf(error)}\n${running.said?.() ?? ''}`);
      failed.push({ name: system.name, why: messageOf(error) });
      entries.splice(entries.indexOf(entry), 1);
      await running.stop();
    }
  }
}

const RECOVERY_MS = 3_000;

/** On a machine that is busy with something else deadlines pass: then it is measured again. */
async function upToThreeTimes<T>(work: () => Promise<T>): Promise<T> {
  for (let again = 0; again < 2; again++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TooManyRefused)) throw error;
      await sleep(RECOVERY_MS);
    }
  }
  return work();
}

async function measureOthers(only: string[] | undefined, tools: Tools, log: Log): Promise<Record<string, number>> {
  const figures: Record<string, number> = {};
  for (const { measure, name } of OTHERS) {
    if (only && !only.includes(name)) continue;
    const measured = await measure(tools);
    log(`${name}: ${JSON.stringify(measured)}`);
    Object.assign(figures, measured);
  }
  return figures;
}

const resultOf = ({ rounds, system }: Entry): SystemResult => ({
  name: system.name,
  title: system.title,
  connections: loadOf(system).connections,
  rounds,
});

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
