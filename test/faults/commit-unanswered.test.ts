import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { startProxy } from '../helpers/tcp-proxy.ts';
import { expectBilledOnce, holdingRollups, ledger, pending, startRig, takes, waiting } from './rig.ts';

const REQUESTS = 100;

test.runIf(fullLength)(
  'a connection that breaks between COMMIT and its answer: the worker tries again, and each event is there once',
  {
    timeout: 120_000,
  },
  async () => {
    const rig = await startRig();
    const { environment, sql } = rig;
    const direct = environment.DATABASE_URL ?? '';
    const proxy = await startProxy({ target: { host: '127.0.0.1', port: Number(new URL(direct).port) } });
    const throughProxy = { ...environment, DATABASE_URL: proxy.url(direct) };
    const sidecar = await startSidecar(environment);
    const first = await startWorker(throughProxy);
    const before = await takes(sidecar.url, 'before', 1);
    await expectBilledOnce(rig, before);
    await first.process.stop();

    const all = [...before, ...(await takes(sidecar.url, 'order', REQUESTS))];
    let said = () => '';
    await holdingRollups(sql, async () => {
      const worker = await startWorker(throughProxy);
      said = () => worker.process.stdout.join('\n');
      await eventually(async () => expect(await waiting(sql)).toHaveLength(1), { timeoutMs: 30_000 });
      expect(await pending(rig)).toBe(REQUESTS);
      proxy.hold('toClient');
    });
    await eventually(async () => expect((await ledger(sql)).requests).toBe(all.length));
    expect(await pending(rig)).toBe(REQUESTS);
    proxy.reset();
    proxy.release();

    await expectBilledOnce(rig, all);
    expect(said()).toContain('writing the ledger works again');
  },
);
