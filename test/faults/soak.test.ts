import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringOpa, bringPostgres, bringRedis } from '../helpers/bring.ts';
import { fullLength } from '../helpers/full-length.ts';
import { Dice } from './driver/dice.ts';
import type { Fault } from './driver/faults/fault.ts';
import { FAULTS } from './driver/faults.ts';
import { residentBytes } from './driver/memory.ts';
import type { Program } from './driver/program.ts';
import { copyProgram } from './driver/program-copy.ts';
import { type Rig, startRig } from './driver/rig.ts';
import { runSeed, type SeedResult } from './driver/seed.ts';
import { told } from './driver/told.ts';

/** A fault every 20 s, and after three of them the healing and the invariants. */
const MINUTES = Number(process.env.SOAK_MINUTES ?? 1);
const FAULTS_A_MINUTE = 3;
const FAULT_EVERY_MS = 20_000;
const SEED = 20_000;
/** Measured: what six callers without a pause come to, before the load begins. */
const UNPAUSED_MS = 5_000;
const CALLERS = 6;
/** A program that has all it needs has half of this. */
const MOST_BYTES = 512 * 2 ** 20;
/** Of one that was not started anew, from one minute to the last. */
const MOST_GROWTH = 64 * 2 ** 20;

const programsOf = ({ sidecars, workers }: Rig): Program[] => [...sidecars, ...workers];

/** The fault, and then peace for the rest of its 20 s. */
const spaced = (fault: Fault): Fault => ({
  name: fault.name,
  run: (rig, dice, scene) => Promise.all([fault.run(rig, dice, scene), sleep(FAULT_EVERY_MS)]).then(() => undefined),
});

const faultsOf = (minute: number): Fault[] =>
  new Dice(SEED, minute).shuffled(FAULTS).slice(0, FAULTS_A_MINUTE).map(spaced);

/** The pause, of up to so many milliseconds, with which the callers ask half as often as they could. */
async function pauseForHalf(rig: Rig): Promise<number> {
  const peace: Fault = { name: 'peace', run: () => sleep(UNPAUSED_MS) };
  const { operations, violations } = await runSeed(rig, { seed: SEED, settable: false, faults: [peace], goingOnMs: 0 });
  expect(violations).toEqual([]);
  const each = (CALLERS * UNPAUSED_MS) / operations;
  return Math.ceil(2 * each);
}

describe.runIf(fullLength)('a soak', () => {
  beforeAll(() => Promise.all([bringRedis(), bringPostgres(), bringOpa()]), BRING_TIMEOUT_MS);

  test(`${MINUTES} minutes at half load, a fault every 20 s: the ledger is what was answered, memory stays`, {
    timeout: (MINUTES + 5) * 120_000,
  }, async () => {
    const rig = await startRig({ root: await copyProgram() });
    const goingOnMs = await pauseForHalf(rig);
    const memory = new Map<number, number[]>();
    const results: SeedResult[] = [];
    for (let minute = 1; minute <= MINUTES; minute++) {
      const result = await runSeed(rig, { seed: SEED + minute, settable: false, faults: faultsOf(minute), goingOnMs });
      results.push(result);
      console.log(`minute ${minute}: ${told([result])}${result.violations.map((violation) => `\n${violation}`)}`);
      for (const program of programsOf(rig)) {
        const bytes = await residentBytes(program);
        if (program.pid !== undefined && bytes !== undefined)
          memory.set(program.pid, [...(memory.get(program.pid) ?? []), bytes]);
      }
    }
    const most = Math.max(...[...memory.values()].flat());
    // The first minute is that of filling caches.
    const growth = Math.max(0, ...[...memory.values()].map((own) => (own.at(-1) ?? 0) - (own[1] ?? own[0] ?? 0)));
    const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);
    console.log(
      `${told(results)}; pauses up to ${goingOnMs} ms; RSS up to ${mebibytes(most)} MiB, growth ${mebibytes(growth)} MiB`,
    );
    expect(results.flatMap(({ violations }) => violations)).toEqual([]);
    expect(most).toBeLessThan(MOST_BYTES);
    expect(growth).toBeLessThan(MOST_GROWTH);
  });
});
