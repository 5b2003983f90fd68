import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { ask } from '../helpers/sidecar-client.ts';
import { expectBilledOnce, ledger, STREAM, startRig, streamed, used } from './rig.ts';

/** Room for some hundred usage events. */
const ROOM_BYTES = 600_000;

test.runIf(fullLength)(
  'a Redis without memory: denied before anything is written; the worker drains the stream, and that makes room',
  {
    timeout: 120_000,
  },
  async () => {
    const rig = await startRig();
    const { client, environment, sql } = rig;
    const sidecar = await startSidecar(environment);
    const take = async () => (await ask(sidecar.url, { tenant_id: 'acme' }, 'decision')).body;
    const allowed = [(await take()).decision_id];
    const memory = Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1]);
    await client.configSet('maxmemory', String(memory + ROOM_BYTES));

    for (;;) {
      const { decision_id, result } = await take();
      if (!result.allow) {
        expect(result.reason).toBe('counters_unavailable');
        break;
      }
      allowed.push(decision_id);
    }
    expect(allowed.length).toBeGreaterThan(50);
    expect((await streamed(client)).toSorted()).toEqual(allowed.toSorted());
    expect(await used(client)).toBe(allowed.length);

    // Its very first start: also its group is made without memory.
    await startWorker(environment);
    await eventually(async () => expect(await client.xLen(STREAM)).toBe(0), { timeoutMs: 30_000 });
    const { decision_id } = await eventually(async () => {
      const body = await take();
      expect(body.result.allow).toBe(true);
      return body;
    });
    await eventually(async () => expect((await ledger(sql)).requests).toBe(allowed.length + 1));
    await expectBilledOnce(rig, [...allowed, decision_id]);
  },
);
