import { expect, test } from 'vitest';
import { fullLength } from '../helpers/full-length.ts';
import { startSidecar } from '../helpers/services.ts';
import { get, inParallel, post } from '../helpers/sidecar-client.ts';
import { STREAM, startRig } from './rig.ts';

/**
 * `TENANTS=1000000 TEST_LENGTH=full npx vitest run test/faults/many-tenants.test.ts` takes some minutes: 255 bytes of Redis for each, and
 * the sidecar had grown by 128 MB, as it had with 100,000 (155 MB).
 */
const TENANTS = Number(process.env.TENANTS ?? 100_000);
const AT_ONCE = 500;
const DAY_MS = 86_400_000;

/** A bucket with its key costs about 300 bytes in Redis 7.0; its usage event, which a worker takes away, is not in it. */
const MOST_BYTES = 500;

test.runIf(fullLength)(
  `${TENANTS.toLocaleString('en')} tenants: each costs Redis so many bytes and the sidecar none, until its bucket is full again`,
  {
    timeout: 900_000,
  },
  async () => {
    const { client, environment } = await startRig({ args: ['--appendfsync', 'no'] });
    const { url } = await startSidecar(environment);
    const memory = async () => Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1]);
    const resident = async () =>
      Number(/^process_resident_memory_bytes (\d+)/m.exec((await get(`${url}/metrics`)).body)?.[1]);
    const taken = async (from: number, count: number) => {
      await inParallel(count / AT_ONCE, 2, async (batch) => {
        const names = Array.from({ length: AT_ONCE }, (_, index) => `tenant-${from + batch * AT_ONCE + index}`);
        const inputs = Object.fromEntries(names.map((tenant_id) => [tenant_id, { tenant_id }]));
        const { body, status } = await post(`${url}/v1/batch/data/openclaw/rate_limit/allow`, { inputs });
        expect(status).toBe(200);
        expect(Object.values<{ result: boolean }>(body.responses).filter(({ result }) => !result)).toEqual([]);
        await client.xTrim(STREAM, 'MAXLEN', 0);
      });
    };
    await taken(0, AT_ONCE * 4);
    const [memoryBefore, residentBefore] = [await memory(), await resident()];
    await client.configResetStat();
    await taken(AT_ONCE * 4, TENANTS);

    const perTenant = ((await memory()) - memoryBefore) / TENANTS;
    const grown = (await resident()) - residentBefore;
    console.info(`${Math.round(perTenant)} bytes of Redis per tenant; the sidecar has grown by ${grown >> 20} MB`);
    expect(perTenant).toBeLessThan(MOST_BYTES);
    // What is remembered of policies and callers is bounded; a tenant of its own each would be hundreds of megabytes.
    expect(grown).toBeLessThan(300 * 1024 ** 2);

    // A bucket is full again a day after its use, and not forgotten before.
    const lives = await Promise.all([0, 1, TENANTS - 1].map((index) => client.pTTL(keyOf(`tenant-${index}`))));
    for (const life of lives) expect(life).toBeGreaterThan(DAY_MS - 900_000);
    for (const life of lives) expect(life).toBeLessThan(3 * DAY_MS);
    const commands = await client.info('commandstats');
    expect(commands).toMatch(/^cmdstat_evalsha:/m);
    expect(commands).not.toMatch(/^cmdstat_(keys|scan|hscan|sscan|zscan|randomkey)/m);
  },
);

const keyOf = (tenant: string) => `ocr:{p0}:c:${tenant}:tenant:${tenant}`;
