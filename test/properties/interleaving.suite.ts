import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../runtime/clock.ts';
import type { OpenedStore } from '../conformance/workbench.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { TestClock } from '../helpers/clock.ts';
import { SETTINGS } from '../helpers/counter-settings.ts';
import { type ModelSettings, StoreModel } from '../model/store-model.ts';
import { FOUND } from './found-programs.ts';
import { type Program, programs } from './program.arbitrary.ts';
import { ProgramRun } from './program-run.ts';

/** `caller` is the clock of the process that asks; the one that is given back is the store's. */
export type OpenWithClock = (caller: Clock) => Promise<OpenedStore>;

/** Steps of a program, calls of the store that they make at least, and calls of all programs together. */
const [STEPS, CALLS, ALL_CALLS] = [700, 500, 10_000];
/** For so long a program that fails is made shorter. */
const SHRINK_MS = 20_000;

/** One seed alone: `INTERLEAVING_SEED=… npx vitest run test/properties`. */
const asked = process.env.INTERLEAVING_SEED;
const SEEDS = 20;

function seedsOf(count: number): number[] {
  if (asked !== undefined) return [Number(asked)];
  return [...Array.from({ length: count }, (_, index) => 1_000 + index), Math.floor(Math.random() * 2 ** 31)];
}

/** Runs one program on a new store and on a new model; throws where they differ. */
export async function runProgram(
  open: OpenWithClock,
  expires: ModelSettings['expires'],
  program: Program,
): Promise<ProgramRun> {
  const caller = new TestClock();
  const opened = await open(caller);
  const run = new ProgramRun(opened, caller, new StoreModel({ ...SETTINGS, expires }), program);
  await run.run().finally(() => opened.close());
  return run;
}

/**
 * Holds a store equal to the model over random programs: every answer and all events. `bring` readies what the store needs,
 * once, and gives what opens an empty one. `seeds`: fewer where each takes long.
 */
export function describeInterleaving(
  name: string,
  bring: () => Promise<OpenWithClock>,
  { expires = 'oldest first', seeds = SEEDS }: { expires?: ModelSettings['expires']; seeds?: number } = {},
): void {
  const all = seedsOf(seeds);
  describe(`${name} equals the model`, () => {
    let open: OpenWithClock;
    let calls = 0;
    let left = 0;

    beforeAll(async () => {
      open = await bring();
    }, BRING_TIMEOUT_MS);

    test.each(FOUND)('where it once did not: %s', async (_, program) => {
      await runProgram(open, expires, program);
    });

    test.each(all)('over a random program, seed %d', { timeout: 5 * SHRINK_MS }, async (seed) => {
      let failedAt: number | undefined;
      let run: ProgramRun | undefined;
      const property = fc.asyncProperty(programs(STEPS), async (program) => {
        if (failedAt !== undefined && systemClock.monotonic() - failedAt > SHRINK_MS) return;
        try {
          run = await runProgram(open, expires, program);
        } catch (error) {
          failedAt ??= systemClock.monotonic();
          throw error;
        }
      });
      await fc.assert(property, { seed, numRuns: 1 });
      expect(run?.calls).toBeGreaterThanOrEqual(CALLS);
      calls += run?.calls ?? 0;
      left += run?.left ?? 0;
    });

    afterAll(() => {
      console.info(`${name}: ${calls} operations, ${left} left out; the random seed was ${all.at(-1)}`);
      if (asked === undefined) expect(calls).toBeGreaterThanOrEqual((ALL_CALLS * seeds) / SEEDS);
    });
  });
}
