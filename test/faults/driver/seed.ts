import { check } from './check/check.ts';
import { ClosedMonth } from './closed-month.ts';
import { Dice } from './dice.ts';
import type { Fault } from './faults/fault.ts';
import { CLOCK_FAULTS, FAULTS, PEACE } from './faults.ts';
import { Journal } from './journal.ts';
import type { Stage } from './operations.ts';
import { play } from './play.ts';
import type { Rig } from './rig.ts';
import { SidecarCalls } from './sidecar-calls.ts';

/** Faults of one seed. */
export const ACTS = 9;
const OF_THE_CLOCK = 2;

export interface SeedOptions {
  seed: number;
  /** Whether the rig's programs read a clock that can be set. */
  settable: boolean;
  /** Only the first so many of its faults. */
  acts?: number;
  /** In place of what the seed picks. */
  faults?: readonly Fault[];
  /** Callers go on for as long as a fault lasts, each after a pause of up to so many milliseconds. */
  goingOnMs?: number;
}

export interface SeedResult {
  seed: number;
  operations: number;
  faults: string[];
  granted: number;
  /** Decisions that were without an answer, or with one that leaves open whether they were taken. */
  unknown: number;
  milliseconds: number;
  violations: string[];
}

/** One run: operations and faults as the seed says, then healing, then the invariants. Never throws for what it finds. */
export async function runSeed(
  rig: Rig,
  { acts = ACTS, faults, goingOnMs, seed, settable }: SeedOptions,
): Promise<SeedResult> {
  const began = performance.now();
  const prefix = `s${seed}-`;
  const journal = new Journal();
  const tenants = ['small', 'large', 'other'].map((name) => `${prefix}${name}`);
  const month = new ClosedMonth(rig, journal, `${prefix}billed`);
  const keyed = `${prefix}keyed`;
  const stage: Stage = {
    calls: new SidecarCalls(rig, journal, [...tenants, keyed, month.tenant]),
    journal,
    tenants,
    keyed,
  };
  const piece = { seed, prefix, faults: faults ?? picked(seed, settable).slice(0, acts), settable, goingOnMs };
  // What does not heal says less than what is then seen to be wrong.
  const stuck = await play(rig, stage, month, piece).then(
    () => [],
    (error: Error) => [`I7: ${error.stack}`],
  );
  const wrong = await check(rig, prefix, journal, month).catch((error: Error) => [`I7: ${error.stack}`]);
  return {
    seed,
    operations: journal.operations,
    faults: journal.faults,
    granted: journal.grants.size,
    unknown: journal.asked.flatMap(({ verdicts }) => verdicts).filter(({ kind }) => kind === 'unknown').length,
    milliseconds: Math.round(performance.now() - began),
    violations: [...stuck, ...wrong],
  };
}

function picked(seed: number, settable: boolean): Fault[] {
  const dice = new Dice(seed);
  const ofTheClock = Array.from({ length: settable ? OF_THE_CLOCK : 0 }, () => dice.pick(CLOCK_FAULTS));
  const others = dice.shuffled(FAULTS).slice(0, ACTS - 1 - ofTheClock.length);
  return dice.shuffled([...others, ...ofTheClock, PEACE]);
}
