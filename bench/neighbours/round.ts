import { cpus } from 'node:os';
import { ask } from './ask.ts';
import { drive, type Load, type LoadResult, TooManyRefused } from './load.ts';
import { cpuMs, endedChildrenCpuMs, machineCpuMs, residentMiB } from './process-meter.ts';
import type { Running, System } from './system.ts';
import type { Tools } from './tools.ts';

export interface Round extends LoadResult {
  /** That were granted. */
  decisions: number;
  refused: number;
  perSecond: number;
  /** Microseconds for a decision. */
  cpu: { server: number; store: number; generator: number };
  /** At the end, in MiB. */
  memory: { server: number; store: number };
  /** Percent of all cores that somebody else used meanwhile. */
  others: number;
  /** HTTP requests to the store for a decision. */
  storeRequests?: number;
}

export interface Started {
  system: System;
  running: Running;
}

const WARM_UP_S = 1;

/** Whoever has compiled nothing yet is not asked by all at once. */
const COLD_CONNECTIONS = 4;
const FIRST = 50;
/** A slow one is not waited for longer than this. */
const MOST_WARM_UPS = 15;

/** Shows that limits are limits and that every answer is right, so many of them that the system is warm then. */
export async function warmUp({ running, system }: Started, answersWanted: number, tools: Tools): Promise<void> {
  for (let asked = 0; asked < FIRST; asked++) await askOnce(running);
  await running.prove?.();
  const load = { ...loadOf(system), seconds: WARM_UP_S, checked: true };
  await drive(running, { ...load, connections: Math.min(load.connections, COLD_CONNECTIONS) }, tools);
  for (let answers = 0, turns = 0; answers < answersWanted && turns < MOST_WARM_UPS; turns++) {
    answers += (await drive(running, load, tools)).requests;
  }
  await running.tidy?.();
}

/** One round of load on one system. Throws if an answer fails, or the system's books do not show what was answered. */
export async function measureRound({ running, system }: Started, seconds: number, tools: Tools): Promise<Round> {
  const { books, pids, question, storeRequests } = running;
  const booksBefore = await books?.();
  const requestsBefore = await storeRequests?.();
  const { load, used } = await metered(running, { ...loadOf(system), seconds }, tools);
  const answered = load.requests * question.decisions;
  const bounds = { decisions: answered, atOnce: atOnce(system, running) };
  const decisions = booksBefore ? grantedOf(booksBefore, (await books?.()) ?? {}, bounds) : answered;
  const perDecision = (ms: number) => (ms * 1_000) / decisions;
  const requestsAfter = await storeRequests?.();
  const round: Round = {
    ...load,
    decisions,
    refused: answered - decisions,
    perSecond: decisions / load.seconds,
    cpu: {
      server: perDecision(used.server),
      store: perDecision(used.store),
      generator: perDecision(used.generator),
    },
    memory: { server: await residentMiB(pids.server), store: await residentMiB(pids.store) },
    others: used.othersPercent,
    ...(requestsAfter !== undefined && { storeRequests: (requestsAfter - (requestsBefore ?? 0)) / decisions }),
  };
  await running.tidy?.();
  return round;
}

/** The load's question, whatever the answer. */
async function askOnce({ question: { body, headers, path }, url }: Running): Promise<void> {
  const first = (text: string) => text.replaceAll(/\{(\d+|new)\}/g, '1000000');
  await ask(url + first(path), body && first(body), headers);
}

export const loadOf = ({ callers = 1_000, connections = 64, order = 'in turn' }: System) => ({
  callers,
  connections,
  order,
});

/** Of these the generator no longer hears, when its time is over. */
const atOnce = (system: System, { question }: Running) => loadOf(system).connections * question.decisions;

async function metered(running: Running, load: Load, tools: Tools) {
  const before = await cpuReadings(running);
  const result = await drive(running, load, tools);
  const after = await cpuReadings(running);
  const used = (of: keyof typeof after) => after[of] - before[of];
  const others = used('machine') - used('server') - used('store') - used('generator');
  const othersPercent = Math.max(0, (100 * others) / (used('clock') * cpus().length));
  return {
    load: result,
    used: { server: used('server'), store: used('store'), generator: used('generator'), othersPercent },
  };
}

async function cpuReadings({ pids }: Running) {
  const [server, store, generator, machine] = await Promise.all([
    cpuMs(pids.server),
    cpuMs(pids.store),
    endedChildrenCpuMs(),
    machineCpuMs(),
  ]);
  return { server, store, generator, machine, clock: performance.now() };
}

/**
 * How many of the decisions that were answered were granted, as the system's own books say: all of them but for a few, and
 * at most those that were under way at the end more. Throws if it is otherwise, or if one book says something else than another.
 */
export function grantedOf(
  before: Record<string, number>,
  after: Record<string, number>,
  { atOnce, decisions }: { atOnce: number; decisions: number },
): number {
  const counts = Object.entries(before).map(([book, start]) => (after[book] ?? 0) - start);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  if (most > decisions + atOnce || most - least > atOnce) {
    const said = Object.keys(before).map((book, index) => `${book} count ${counts[index]}`);
    throw new Error(`${decisions} decisions were answered, but ${said.join(', ')}`);
  }
  TooManyRefused.check(decisions - least, decisions);
  return Math.min(least, decisions);
}
