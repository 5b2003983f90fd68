import { afterAll, beforeAll, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringOpa, bringPostgres, bringRedis } from '../helpers/bring.ts';
import { fullLength } from '../helpers/full-length.ts';
import { copyProgram, SETTABLE_CLOCK } from './driver/program-copy.ts';
import { type Rig, startRig } from './driver/rig.ts';
import { ACTS, runSeed, type SeedResult } from './driver/seed.ts';
import { told } from './driver/told.ts';

/** Seeds to run: `SEED=7` or `SEED=7,8` those, `SEEDS=100` the first so many. */
const ONE = process.env.SEED;
const COUNT = Number(process.env.SEEDS ?? (fullLength ? 100 : 2));
const SEEDS = ONE === undefined ? Array.from({ length: COUNT }, (_, index) => index + 1) : ONE.split(',').map(Number);
/** Of a seed that is named, and where there is time, all that happens in it. */
const OF_EACH = fullLength || ONE !== undefined || process.env.SEEDS !== undefined ? ACTS : 5;
/** Of so many one after the other, on the same servers. */
const TO_A_RIG = 20;

const results: SeedResult[] = [];

/** The same for all of a run, whatever is compiled meanwhile. */
let roots: { shipped: string; settable: string };

beforeAll(async () => {
  await Promise.all([bringRedis(), bringPostgres(), bringOpa()]);
  const [shipped, settable] = await Promise.all([copyProgram(), copyProgram([SETTABLE_CLOCK])]);
  roots = { shipped, settable };
}, BRING_TIMEOUT_MS);

afterAll(() => console.log(told(results)));

/** One of two seeds also sets the store's clock back and forth. */
const hasClock = (seed: number) => seed % 2 === 0;

interface Cast {
  seeds: number[];
  /** Whether the programs are as they are shipped, but for the store's clock. */
  settable: boolean;
}

/** On few servers where there is little time: then all of them run the programs with the clock. */
function casts(): Cast[] {
  if (SEEDS.length <= 2) return [{ seeds: SEEDS, settable: SEEDS.some(hasClock) }];
  return [false, true].flatMap((settable) => {
    const seeds = SEEDS.filter((seed) => hasClock(seed) === settable);
    return Array.from({ length: Math.ceil(seeds.length / TO_A_RIG) }, (_, nth) => ({
      settable,
      seeds: seeds.slice(nth * TO_A_RIG, (nth + 1) * TO_A_RIG),
    }));
  });
}

async function run(rig: Rig, seed: number): Promise<void> {
  const result = await runSeed(rig, { seed, settable: hasClock(seed), acts: OF_EACH });
  results.push(result);
  console.log(told([result]));
  if (result.violations.length)
    console.error(`SEED=${seed} (${result.faults.join('; ')})\n${result.violations.join('\n')}`);
}

test.each(casts())(
  'seeds $seeds, with a clock that is set: $settable',
  { timeout: 900_000 },
  async ({ seeds, settable }) => {
    const rig = await startRig({ root: settable ? roots.settable : roots.shipped });
    const before = results.length;
    for (const seed of seeds) await run(rig, seed);
    const own = results.slice(before);
    expect(own.flatMap(({ seed, violations }) => violations.map((violation) => `SEED=${seed} ${violation}`))).toEqual(
      [],
    );
    // Something was at stake: nothing is lost where nothing is taken.
    for (const { granted, operations } of own) {
      expect(operations).toBeGreaterThan(20 * OF_EACH);
      expect(granted).toBeGreaterThan(4 * OF_EACH);
    }
    expect(rig.acknowledged.checked).toBeGreaterThan(10 * OF_EACH * seeds.length);
  },
);
