import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from 'redis';
import { expect, test } from 'vitest';
import { cycleAt } from '../../billing-worker/cycles.ts';
import { openDatabase } from '../../billing-worker/database/open.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { reconcile } from '../../billing-worker/reconcile/reconcile.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { TestClock } from '../helpers/clock.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startSidecar } from '../helpers/services.ts';
import { ask, inParallel, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { silent } from './databases.ts';
import { tenants } from './tenants.ts';

const DECISIONS = 300;

test('what a real sidecar’s counters say agrees with the ledger, until an event of it is missing', {
  timeout: 60_000,
}, async () => {
  const redis = await startRedis();
  const config = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), config, { recursive: true });
  const budgets = join(config, 'budgets.yaml');
  await writeFile(budgets, (await readFile(budgets, 'utf8')).replace('enabled: false', 'enabled: true'));
  const { url: sidecar } = await startSidecar({ REDIS_URL: redis.url, CONFIG_DIR: config, ALLOW_VOLATILE_STORE: '1' });

  await inParallel(DECISIONS, 8, async (index) => {
    const input = {
      tenant_id: index % 5 ? 'acme' : 'globex',
      user_id: `user-${index % 3}`,
      model: 'anthropic/claude-haiku-4-5',
    };
    const { body } = await ask(sidecar, { ...input, input_tokens: 20, max_tokens: 30 }, 'decision');
    const outcome = index % 7 ? 'succeeded' : 'failed';
    const usage = { input: 20, output: index % 40 };
    if (index % 4)
      await post(`${sidecar}/v1/usage`, { decision_id: body.decision_id, outcome, ...(index % 7 && { usage }) });
  });

  const client = createClient({ url: redis.url });
  await client.connect();
  atTestEnd(() => client.destroy());
  const entries = (await client.xRange('ocr:{p0}:usage', '-', '+')) ?? [];
  const { drop, url } = await createDatabase();
  atTestEnd(drop);
  const database = await openDatabase({ databaseUrl: url, dataDir: '/nonexistent', log: silent });
  atTestEnd(() => database.close());
  const { sql } = database;
  const ledger = new Ledger({ sql, terms: { tenants, calendar: new Calendar() }, onCommit: () => {} });
  await ledger.append(
    entries.map(({ id, message }) => ({ stream: 'ocr:{p0}:usage', id, event: message.e, redelivered: 0 })),
  );

  // What came in the last minute is not looked at.
  const clock = new TestClock(Date.now() + 120_000);
  const terms = { tenants, models: modelsSchema.parse({}) };
  const [first] = await sql`select min(decided_at) as at from usage_events`;
  const cycle = cycleAt(new Date(first?.at).getTime(), { period: 'month', anchor_day: 1, timezone: 'UTC' });
  const check = () => reconcile({ cycle, limit: 10 }, { sql, terms: () => terms, clock });
  const kinds = await sql`
    select distinct e.type, l ->> 'kind' as kind from usage_events e, jsonb_array_elements(e.limits) l
    where e.type <> 'denied' order by 1, 2`;
  expect(kinds.map(({ kind, type }) => `${type} ${kind}`)).toEqual(
    expect.arrayContaining(['reserved token_bucket', 'reserved window', 'settled window', 'voided window']),
  );
  expect(await check()).toEqual({ ok: true, checked: 2, data: [], next: null });

  const [lost] = await sql`
    delete from usage_events where id = (
      select id from usage_events where tenant_id = 'acme' and user_id = 'user-1' and type = 'reserved'
      order by at offset 30 limit 1)
    returning decision_id`;
  expect(lost).toBeDefined();
  const { data } = await check();
  expect(data.map(({ tenant_id }) => tenant_id)).toEqual(['acme']);
  const windows = data[0]?.counters.drifts.filter(({ kind }) => kind === 'window');
  expect(windows?.map(({ limit }) => limit)).toEqual(expect.arrayContaining([expect.stringContaining('user-1')]));
  for (const { limit } of windows ?? []) expect(limit).toContain('user-1');
});
