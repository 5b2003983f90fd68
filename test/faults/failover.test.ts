import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS, bringRedis } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { ask } from '../helpers/sidecar-client.ts';
import { startProxy } from '../helpers/tcp-proxy.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { connectTo, counterDrifts, ledger, startRig, streamed, takes, used } from './rig.ts';

/** One call of a user with a budget of its own: a window, which nothing but its own events moves. */
const CALL = { user_id: 'user-1', estimated_tokens: 1 };

beforeAll(bringRedis, BRING_TIMEOUT_MS);

/** A Redis with a replica, and an address that leads to the one that is the master. */
async function replicated(masterFlags: string[]) {
  const rig = await startRig({ args: masterFlags });
  const link = await startProxy({ target: rig.redis });
  const replica = await startRedis({ args: ['--replicaof', link.host, String(link.port)] });
  const target = { host: rig.redis.host, port: rig.redis.port };
  const address = await startProxy({ target });
  await eventually(async () => expect(await rig.client.info('replication')).toMatch(/state=online/), {
    timeoutMs: 30_000,
  });
  const environment = { ...rig.environment, REDIS_URL: address.url(rig.redis.url), CONFIG_DIR: await budgets() };
  const replicaClient = await connectTo(replica);
  return {
    ...rig,
    environment,
    replica: replicaClient,
    /** From here on the replica hears nothing, and nobody is told. */
    freeze: () => {
      link.hold('toClient');
      link.hold('toServer');
    },
    failOver: async () => {
      await rig.redis.kill();
      await replicaClient.sendCommand(['REPLICAOF', 'NO', 'ONE']);
      target.port = replica.port;
      address.reset();
    },
  };
}

async function budgets(): Promise<string> {
  const config = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), config, { recursive: true });
  const file = join(config, 'budgets.yaml');
  await writeFile(file, (await readFile(file, 'utf8')).replace('enabled: false', 'enabled: true'));
  return config;
}

const allowedAgain = (url: string) =>
  eventually(async () => expect((await ask(url, { tenant_id: 'other' })).body.result).toBe(true), {
    timeoutMs: 20_000,
  });

describe.runIf(fullLength)('a replica whose link froze takes over', { timeout: 120_000 }, () => {
  test('what was allowed since is back in the counters, is billed once all the same, and is named by reconcile', async () => {
    const all = await replicated([]);
    const sidecar = await startSidecar(all.environment);
    await startWorker(all.environment);
    const before = await takes(sidecar.url, 'before', 20, CALL);
    await eventually(async () => expect(await used(all.replica)).toBe(20));

    all.freeze();
    const lost = await takes(sidecar.url, 'lost', 30, CALL);
    const billed = [...before, ...lost];
    expect(billed).toHaveLength(50);
    await eventually(async () => expect((await ledger(all.sql)).decisions).toEqual(billed.toSorted()));

    await all.failOver();
    await allowedAgain(sidecar.url);
    // No more than what was taken on the frozen link is given a second time.
    expect(await used(all.replica)).toBe(20);
    billed.push(...(await takes(sidecar.url, 'after', 10, CALL)));
    expect(await used(all.replica)).toBe(30);
    await eventually(async () => {
      const { decisions } = await ledger(all.sql);
      expect(decisions).toEqual(expect.arrayContaining(billed));
      expect(new Set(decisions).size).toBe(decisions.length);
    });
    const windows = (await counterDrifts(all.sql)).filter(({ kind }) => kind === 'window');
    expect(windows.map(({ counter, ledger }) => Number(ledger) - Number(counter))).toEqual(windows.map(() => 30));
    expect(windows.length).toBeGreaterThan(0);
  });

  test('with min-replicas-to-write nothing is allowed that it does not know, and nothing is lost', async () => {
    const all = await replicated(['--min-replicas-to-write', '1', '--min-replicas-max-lag', '2']);
    const sidecar = await startSidecar(all.environment);
    await allowedAgain(sidecar.url);
    const before = await takes(sidecar.url, 'before', 20, CALL);
    expect(before).toHaveLength(20);
    await eventually(async () => expect(await used(all.replica)).toBe(20));

    all.freeze();
    await eventually(async () => expect(await all.client.info('replication')).toMatch(/min_slaves_good_slaves:0/));
    const { body } = await ask(sidecar.url, { tenant_id: 'acme', ...CALL }, 'decision');
    expect(body.result).toMatchObject({ allow: false, reason: 'counters_unavailable' });
    expect(await takes(sidecar.url, 'refused', 30, CALL)).toEqual([]);
    expect(await used(all.client)).toBe(20);

    await all.failOver();
    await allowedAgain(sidecar.url);
    const after = await takes(sidecar.url, 'after', 10, CALL);
    expect(await used(all.replica)).toBe(30);
    expect(await streamed(all.replica)).toEqual(expect.arrayContaining([...before, ...after]));
    await startWorker(all.environment);
    await eventually(async () =>
      expect((await ledger(all.sql)).decisions).toEqual(expect.arrayContaining([...before, ...after])),
    );
    expect(await counterDrifts(all.sql)).toEqual([]);
  });
});
