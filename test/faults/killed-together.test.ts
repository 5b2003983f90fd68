import { beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringOpa, bringPostgres, bringRedis } from '../helpers/bring.ts';
import { fullLength } from '../helpers/full-length.ts';
import { everythingKilled } from './driver/faults/everything.ts';
import { OwnPostgres } from './driver/own-postgres.ts';
import { copyProgram } from './driver/program-copy.ts';
import { startRig } from './driver/rig.ts';
import { runSeed } from './driver/seed.ts';
import { told } from './driver/told.ts';

const KILLS = 20;
const SEED = 9_001;

describe.runIf(fullLength)('everything at once', () => {
  beforeAll(() => Promise.all([bringRedis(), bringPostgres(), bringOpa()]), BRING_TIMEOUT_MS);

  test(`Redis, PostgreSQL, sidecars and workers killed together ${KILLS} times: nothing lost, nothing doubled`, {
    timeout: 600_000,
  }, async () => {
    const database = await OwnPostgres.start();
    const rig = await startRig({ root: await copyProgram(), databaseUrl: database.url });
    const faults = Array.from({ length: KILLS }, () => everythingKilled(database));
    const result = await runSeed(rig, { seed: SEED, settable: false, faults, goingOnMs: 200 });
    console.log(told([result]));
    expect(result.violations).toEqual([]);
    expect(result.granted).toBeGreaterThan(5 * KILLS);
  });
});
