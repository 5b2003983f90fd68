import postgres from 'postgres';
import { expect, test } from 'vitest';
import { usageEvent } from '../billing/events.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { postgresUrl } from '../helpers/postgres-server.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { sharedPostgres } from '../helpers/shared-postgres.ts';
import { get, post } from '../helpers/sidecar-client.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { expectBilledOnce, GROUP, type Rig, STREAM, startRig, takes } from './rig.ts';
import { smallDisk } from './small-disk.ts';

const ADMIN = { Authorization: 'Bearer admin' };
const CYCLE = 'acme@2026-01-01T00:00:00.000Z';

/** A database whose tables lie there. */
async function databaseOn(folder: string): Promise<string> {
  const server = await sharedPostgres();
  const sql = postgres(postgresUrl(server, 'postgres'), { max: 1, onnotice: () => {} });
  await sql.unsafe(`create tablespace small location '${folder}'`);
  await sql.unsafe('create database on_small_disk tablespace small');
  atTestEnd(async () => {
    await sql.unsafe('drop database on_small_disk with (force)');
    await sql.unsafe('drop tablespace small');
    await sql.end();
  });
  return postgresUrl(server, 'on_small_disk');
}

const close = (worker: string) => post(`${worker}/v1/cycles/${encodeURIComponent(CYCLE)}/close`, {}, ADMIN);

test.runIf(fullLength)(
  'a disk that is full: nothing is acknowledged and no invoice is half made; with room all goes on, each once',
  {
    timeout: 120_000,
  },
  async () => {
    const { user } = await sharedPostgres();
    const disk = await smallDisk(32, user);
    const url = await databaseOn(disk.folder);
    const { client, environment, redis } = await startRig();
    const sql = postgres(url, { max: 2, onnotice: () => {} });
    atTestEnd(() => sql.end());
    const rig: Rig = { redis, client, sql, environment: { ...environment, DATABASE_URL: url } };
    const sidecar = await startSidecar(rig.environment);
    const worker = await startWorker(rig.environment);
    const old = usageEvent();
    await client.xAdd(STREAM, '*', { e: JSON.stringify(old) });
    await expectBilledOnce(rig, [old.decision_id]);

    await disk.fill();
    const allowed = await takes(sidecar.url, 'order', 500);
    expect(allowed).toHaveLength(500);
    await worker.process.waitForLine(/No space left on device/);
    expect((await client.xPending(STREAM, GROUP)).pending).toBeGreaterThan(0);
    const failed = await close(worker.url);
    expect(failed.status).toBeGreaterThanOrEqual(500);
    expect(await sql`select 1 from invoices`).toHaveLength(0);
    expect(await sql`select 1 from billed_events`).toHaveLength(0);
    expect((await get(`${worker.url}/metrics`)).body).toMatch(/^openclaw_usage_stream_lag_entries [1-9]/m);

    await disk.free();
    await expectBilledOnce(rig, [old.decision_id, ...allowed]);
    const closed = await eventually(async () => {
      const reply = await close(worker.url);
      expect(reply.status).toBe(200);
      return reply;
    });
    expect(closed.body.invoice).toMatchObject({ number: 'INV-000001', total: '0.00' });
    expect(await sql`select event_id from billed_events`).toEqual([{ event_id: old.id }]);
  },
);
