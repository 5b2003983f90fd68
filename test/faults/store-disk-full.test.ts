import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { ask, get } from '../helpers/sidecar-client.ts';
import { connectTo, expectBilledOnce, startRig, streamed, used } from './rig.ts';
import { smallDisk } from './small-disk.ts';

test.runIf(fullLength)(
  'a Redis that cannot write its append-only file: denied; with room allowed again, and a kill after it loses nothing',
  { timeout: 120_000 },
  async () => {
    const disk = await smallDisk(16);
    const rig = await startRig({ dir: disk.folder });
    const sidecar = await startSidecar(rig.environment);
    const take = async () => (await ask(sidecar.url, { tenant_id: 'acme' }, 'decision')).body;
    const allowed = [(await take()).decision_id];

    await disk.fill();
    // The file's last page has room for some.
    for (;;) {
      const { decision_id, result } = await take();
      if (!result.allow) {
        expect(result.reason).toBe('counters_unavailable');
        break;
      }
      allowed.push(decision_id);
    }
    expect((await get(`${sidecar.url}/health`)).status).toBe(500);
    expect((await take()).result.allow).toBe(false);
    expect(await streamed(rig.client)).toEqual(allowed);
    expect(await used(rig.client)).toBe(allowed.length);

    await disk.free();
    await eventually(async () => {
      const { decision_id, result } = await take();
      expect(result.allow).toBe(true);
      allowed.push(decision_id);
    });
    expect((await get(`${sidecar.url}/health`)).status).toBe(200);
    await rig.redis.kill();
    await rig.redis.restart();
    const client = await connectTo(rig.redis);
    expect(await streamed(client)).toEqual(allowed);
    expect(await used(client)).toBe(allowed.length);
    await startWorker(rig.environment);
    await expectBilledOnce({ ...rig, client }, allowed);
  },
);
