import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { openDatabase } from '../../billing-worker/database/open.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { createBillingWorker } from '../../billing-worker/worker.ts';
import { systemClock } from '../../runtime/clock.ts';
import { loadConfig } from '../../runtime/config/files.ts';
import { listen } from '../../runtime/listen.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { silent } from '../billing/databases.ts';
import { streamEntry } from '../billing/events.ts';
import { freePort } from '../helpers/free-port.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { history } from './history.ts';
import { Visitor } from './visitor.ts';

const MANY = 10_000;

/** A worker whose sidecar is away, with usage of ten thousand users in its ledger. */
async function startAlone() {
  const { drop, url } = await createDatabase();
  atTestEnd(drop);
  const { close, sql } = await openDatabase({ databaseUrl: url, dataDir: '/nonexistent', log: silent });
  atTestEnd(close);
  const config = loadConfig(`${packageRoot}/config`);
  const ledger = new Ledger({ sql, terms: { tenants: config.tenants, calendar: new Calendar() }, onCommit: () => {} });
  await ledger.append(history(20, systemClock.now()).map(streamEntry));
  const now = systemClock.now();
  await sql`
    insert into usage_rollups (tenant_id, cycle_start, cycle_end, day, user_id, team_id, project_id, model, requests, denied, tokens,
      input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd)
    select 'acme', date_trunc('month', ${new Date(now).toISOString()}::timestamptz at time zone 'UTC') at time zone 'UTC',
      (date_trunc('month', ${new Date(now).toISOString()}::timestamptz at time zone 'UTC') + interval '1 month') at time zone 'UTC',
      (${new Date(now).toISOString()}::timestamptz at time zone 'UTC')::date,
      'user_' || n, '', '', 'm', n, 0, n, 0, 0, 0, 0, 0, n * 0.0001
    from generate_series(1, ${MANY}::int) as n`;
  const { app } = createBillingWorker({
    sql,
    stream: { lag: () => Promise.reject(new Error('not asked for')) } as never,
    config: () => config,
    invoicing: { issuer: 'INV', graceMs: 0 },
    adminToken: 'the admin token',
    pages: { sidecarUrl: `http://127.0.0.1:${await freePort()}`, opaToken: undefined, people: () => config },
    registry: new Registry(),
    clock: systemClock,
    log: silent,
  });
  const listening = await listen(app, { host: '127.0.0.1', port: 0, variable: 'BILLING_PORT' });
  atTestEnd(() => listening.close());
  return listening.url;
}

test('while the sidecar is away the pages say so and show the rest; ten thousand users can be searched, sorted and paged', async () => {
  const base = await startAlone();
  const admin = await Visitor.signedIn(base, 'admin', { token: 'the admin token' });
  const AWAY = 'The sidecar cannot be reached.';
  for (const path of [
    '/admin',
    '/admin/tenants',
    '/admin/tenant?tenant_id=acme',
    '/admin/user?tenant_id=acme&user_id=alice',
    '/admin/keys',
    '/admin/providers',
  ]) {
    const { status, text } = await admin.get(path);
    expect([path, status, text.includes(AWAY)]).toEqual([path, 200, true]);
  }
  expect((await admin.get('/admin/tenant?tenant_id=acme')).text).toContain('claude-sonnet-4-5');
  expect((await admin.get('/admin/invoices')).text).not.toContain(AWAY);
  const refused = await admin.post('/admin/keys/k0_000000000000/revoke');
  expect([refused.status, refused.text.includes('Nothing was changed')]).toEqual([503, true]);

  const usersOf = async (query: string) =>
    [...(await admin.get(`/admin?${query}`)).text.matchAll(/user_id=([^"]+)">/g)].map(([, id]) => id);
  expect((await usersOf('sort=spend&dir=desc')).slice(0, 2)).toEqual(['user_10000', 'user_9999']);
  expect(await usersOf('sort=requests&dir=asc&q=user_&page=2')).toEqual(
    Array.from({ length: 25 }, (_, i) => `user_${24 + i}`),
  );
  expect((await usersOf('q=USER_99&sort=user')).slice(0, 3)).toEqual(['user_99', 'user_990', 'user_9900']);
  expect((await usersOf('q=user_99&sort=user&dir=desc'))[0]).toBe('user_9999');
  // Two more are named in budgets.yaml.
  expect((await admin.get('/admin?q=user_')).text).toContain('10,002 users, page 1 of 401');
  expect(await usersOf('q=user_&page=999999')).toHaveLength(2);
});
