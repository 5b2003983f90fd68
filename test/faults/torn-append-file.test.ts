import { readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fullLength } from '../helpers/full-length.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import {
  connectTo,
  counterDrifts,
  expectBilledOnce,
  pending,
  type Rig,
  startRig,
  streamed,
  takes,
  used,
} from './rig.ts';

/** A loss of power takes the end of the append-only file with it: Redis starts on what is left. */
async function tear({ redis }: Rig, bytes: number): Promise<void> {
  await redis.kill();
  const folder = join(redis.dir, 'appendonlydir');
  const file = (await readdir(folder)).find((name) => name.endsWith('.incr.aof')) ?? '';
  const { size } = await stat(join(folder, file));
  await truncate(join(folder, file), size - bytes);
  await redis.restart();
}

async function begun(): Promise<{ rig: Rig; billed: string[] }> {
  const rig = await startRig();
  const sidecar = await startSidecar(rig.environment);
  const worker = await startWorker(rig.environment);
  const billed = await takes(sidecar.url, 'before', 20);
  await expectBilledOnce(rig, billed);
  await worker.process.stop();
  await sidecar.process.stop();
  return { rig, billed };
}

describe.runIf(fullLength)('an append-only file without its last bytes', { timeout: 90_000 }, () => {
  test('no more than the last takes are gone, each with its charge and its event: nothing is billed that is not counted', async () => {
    const { billed, rig } = await begun();
    const first = await startSidecar(rig.environment);
    const taken = await takes(first.url, 'torn', 10);
    await first.process.stop();
    await tear(rig, 100);

    const client = await connectTo(rig.redis);
    const left = await streamed(client);
    expect(taken).toEqual(expect.arrayContaining(left));
    expect(left.length).toBeLessThan(taken.length);
    expect(left.length).toBeGreaterThanOrEqual(taken.length - 2);
    expect(await used(client)).toBe(billed.length + left.length);

    const next = await startSidecar(rig.environment);
    const after = await takes(next.url, 'after', 5);
    await startWorker(rig.environment);
    await expectBilledOnce({ ...rig, client }, [...billed, ...left, ...after]);
    expect(await counterDrifts(rig.sql)).toEqual([]);
  });

  test('an acknowledgement that is gone brings its events again, and the ledger has them once', async () => {
    const { billed, rig } = await begun();
    await tear(rig, 150);
    const client = await connectTo(rig.redis);
    expect(await pending({ client })).toBeGreaterThan(0);
    const sidecar = await startSidecar(rig.environment);
    const after = await takes(sidecar.url, 'after', 5);
    await startWorker(rig.environment);
    await expectBilledOnce({ ...rig, client }, [...billed, ...after]);
  });
});
