import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringOpa, bringPostgres, bringRedis } from '../helpers/bring.ts';
import { fullLength } from '../helpers/full-length.ts';
import type { Fault, Scene } from './driver/faults/fault.ts';
import type { Verdict } from './driver/journal.ts';
import { OwnPostgres } from './driver/own-postgres.ts';
import { copyProgram } from './driver/program-copy.ts';
import { type Rig, startRig } from './driver/rig.ts';
import { runSeed } from './driver/seed.ts';
import { told } from './driver/told.ts';

const AWAY_MS = 60_000;
/** What was under way when it went away may still be answered with yes. */
const UNDER_WAY_MS = 2_000;
/** Longer than a loaded disk takes: what is denied here is denied because something is away. */
const STORE_TIMEOUT_MS = 4_000;
/** Six callers with pauses up to this long: 50 operations a second. */
const PAUSE_MS = 200;

/** Takes something away for a minute, and notes how decisions were answered meanwhile. */
function away(
  name: string,
  verdicts: Verdict[],
  go: (rig: Rig) => Promise<void>,
  back: (rig: Rig) => Promise<void>,
): Fault {
  return {
    name,
    run: async (rig, _, { journal }: Scene) => {
      await go(rig);
      await sleep(UNDER_WAY_MS);
      const before = new Map(journal.asked.map((asked) => [asked, asked.verdicts.length]));
      await sleep(AWAY_MS - UNDER_WAY_MS);
      for (const asked of journal.asked) verdicts.push(...asked.verdicts.slice(before.get(asked) ?? 0));
      await back(rig);
    },
  };
}

const kindsOf = (verdicts: Verdict[]) =>
  new Set(verdicts.map((verdict) => (verdict.kind === 'unknown' ? verdict.why : verdict.kind)));

describe.runIf(fullLength)('away for a minute under load', () => {
  beforeAll(() => Promise.all([bringRedis(), bringPostgres(), bringOpa()]), BRING_TIMEOUT_MS);

  test('Redis: every decision is denied as configured, and the ledger is complete afterwards', {
    timeout: 300_000,
  }, async () => {
    const rig = await startRig({ root: await copyProgram(), storeTimeoutMs: STORE_TIMEOUT_MS });
    const verdicts: Verdict[] = [];
    const fault = away(
      'Redis away for a minute',
      verdicts,
      ({ redis }) => redis.kill(),
      ({ redis }) => redis.restart(),
    );
    const result = await runSeed(rig, { seed: 9_101, settable: false, faults: [fault], goingOnMs: PAUSE_MS });
    console.log(told([result]));
    expect(result.violations).toEqual([]);
    expect(verdicts.length).toBeGreaterThan(500);
    expect([...kindsOf(verdicts)].filter((kind) => kind !== 'refused')).toEqual(['counters_unavailable']);
  });

  test('PostgreSQL: no decision is any different, and the ledger is complete afterwards', {
    timeout: 300_000,
  }, async () => {
    const database = await OwnPostgres.start();
    const rig = await startRig({
      root: await copyProgram(),
      databaseUrl: database.url,
      storeTimeoutMs: STORE_TIMEOUT_MS,
    });
    const verdicts: Verdict[] = [];
    const fault = away(
      'PostgreSQL away for a minute',
      verdicts,
      () => database.kill(),
      () => database.restart(),
    );
    const result = await runSeed(rig, { seed: 9_102, settable: false, faults: [fault], goingOnMs: PAUSE_MS });
    console.log(told([result]));
    expect(result.violations).toEqual([]);
    expect(verdicts.filter(({ kind }) => kind === 'granted').length).toBeGreaterThan(500);
    expect(verdicts.filter(({ kind }) => kind === 'unknown')).toEqual([]);
  });
});
