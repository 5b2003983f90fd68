import { cp, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { eventually } from '../helpers/eventually.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startWorker } from '../helpers/services.ts';
import { get } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

const TENANTS = `
defaults: { capacity: 10000, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }
plans: { team: { base_fee: "20.00" } }
tenants: { acme: { plan: team } }
`;

test('the billing worker takes a changed plan within seconds, without a restart; a wrong file changes nothing', async () => {
  const [redis, database] = await Promise.all([startRedis(), createDatabase()]);
  atTestEnd(database.drop);
  const CONFIG_DIR = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), CONFIG_DIR, { recursive: true });
  const env = { CONFIG_DIR, REDIS_URL: redis.url, DATABASE_URL: database.url, ADMIN_TOKEN: 'admin' };
  const worker = await startWorker({ ...env, DATA_DIR: await tempDir('data') });
  const total = async () =>
    (await get(`${worker.url}/v1/invoices/upcoming?tenant_id=acme`, { Authorization: 'Bearer admin' })).body.total;
  const put = async (text: string) => {
    await writeFile(join(CONFIG_DIR, 'tenants.yaml.new'), text);
    await rename(join(CONFIG_DIR, 'tenants.yaml.new'), join(CONFIG_DIR, 'tenants.yaml'));
  };
  expect(await total()).toBe('0.00');
  await put(TENANTS);
  await eventually(async () => expect(await total()).toBe('20.00'));
  await put(TENANTS.replace('plan: team', 'plan: nobody'));
  await worker.process.waitForLine(/there is no plan/, 10_000);
  expect(await total()).toBe('20.00');
});
