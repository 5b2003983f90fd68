import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringOpa, bringPostgres, bringRedis } from '../helpers/bring.ts';
import { fullLength } from '../helpers/full-length.ts';
import { MUTANTS, type Mutant } from './driver/mutants.ts';
import { changedFiles, copyProgram, SETTABLE_CLOCK } from './driver/program-copy.ts';
import { startRig } from './driver/rig.ts';
import { runSeed } from './driver/seed.ts';

/** So many seeds at most until a planted fault is found. */
const SEEDS = 20;

const found: string[] = [];

afterAll(() => {
  if (found.length) console.log(found.join('\n'));
});

/** The first seed that finds something wrong, and what. */
async function hunt({ changes }: Mutant): Promise<{ seed: number; violations: string[] }> {
  const rig = await startRig({ root: await copyProgram([SETTABLE_CLOCK, ...changes]) });
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violations } = await runSeed(rig, { seed, settable: true });
    if (violations.length) return { seed, violations };
  }
  return { seed: SEEDS, violations: [] };
}

test.each(MUTANTS)('the fault is still there to be planted: $name', async ({ changes }) => {
  await expect(changedFiles([SETTABLE_CLOCK, ...changes])).resolves.not.toEqual(new Map());
});

describe.runIf(fullLength)('a planted fault is found', () => {
  beforeAll(() => Promise.all([bringRedis(), bringPostgres(), bringOpa()]), BRING_TIMEOUT_MS);

  test.each(MUTANTS)('$name', { timeout: 600_000 }, async (mutant) => {
    const { seed, violations } = await hunt(mutant);
    const invariants = [...new Set(violations.map((violation) => violation.slice(0, 2)))];
    found.push(
      `${mutant.name}: seed ${seed}, ${violations.length} violations of ${invariants.join(', ')}: ${violations[0]}`,
    );
    expect(invariants.filter((invariant) => mutant.violates.includes(invariant))).not.toEqual([]);
  });
});
