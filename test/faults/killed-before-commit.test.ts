import { describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { expectBilledOnce, holdingRollups, ledger, pending, type Rig, startRig, takes, waiting } from './rig.ts';

const REQUESTS = 100;

/** A worker is killed while its batch waits for a lock; then `ended` is done to what it left at the server. */
async function killedInBatch(
  ended: (rig: Rig) => Promise<unknown>,
): Promise<{ rig: Rig; before: string[]; all: string[] }> {
  const rig = await startRig();
  const sidecar = await startSidecar(rig.environment);
  const first = await startWorker(rig.environment);
  const before = await takes(sidecar.url, 'before', 1);
  await expectBilledOnce(rig, before);
  await first.process.stop();
  const all = [...before, ...(await takes(sidecar.url, 'order', REQUESTS))];
  await holdingRollups(rig.sql, async () => {
    const doomed = await startWorker(rig.environment);
    await eventually(async () => expect(await waiting(rig.sql)).toHaveLength(1), { timeoutMs: 30_000 });
    expect(await pending(rig)).toBe(REQUESTS);
    await doomed.process.kill('SIGKILL');
    await ended(rig);
  });
  return { rig, before, all };
}

describe.runIf(fullLength)('a worker killed before COMMIT', { timeout: 120_000 }, () => {
  test('and rolled back by the server: nothing is there but what waits, and all of it comes again, once', async () => {
    const { all, before, rig } = await killedInBatch(async ({ sql }) => {
      for (const { pid } of await waiting(sql)) await sql`select pg_terminate_backend(${pid})`;
      await eventually(async () => expect(await waiting(sql)).toHaveLength(0));
    });
    expect(await ledger(rig.sql)).toEqual({ decisions: before, requests: 1 });
    expect(await pending(rig)).toBe(REQUESTS);
    await startWorker(rig.environment);
    await expectBilledOnce(rig, all);
  });

  test('and carried out by the server after its death: it comes again all the same, and changes nothing', async () => {
    const { all, rig } = await killedInBatch(async () => undefined);
    await eventually(async () => expect((await ledger(rig.sql)).requests).toBe(1 + REQUESTS));
    expect(await pending(rig)).toBe(REQUESTS);
    await startWorker(rig.environment);
    await expectBilledOnce(rig, all);
  });
});
