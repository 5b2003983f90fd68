import { parse } from 'csv-parse/sync';
import { Hono } from 'hono';
import type { Sql } from 'postgres';
import { beforeAll, describe, expect, test } from 'vitest';
import { timelineSql } from '../../billing-worker/audit/sources.ts';
import { type AuditQuery, auditPage } from '../../billing-worker/audit/timeline.ts';
import { auditRoutes } from '../../billing-worker/routes/audit.ts';
import { listen } from '../../runtime/listen.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startProcess } from '../helpers/process.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { DATABASES } from './databases.ts';

/** So many usage events, of which a third were denied, and a tenth as many audit events. */
const EVENTS = fullLength ? 1_000_000 : 60_000;
const START = '2026-10-01T00:00:00Z';
const LIMIT = 100;

/** Written by the database itself: through the ledger a million rows take minutes. */
const FILL = `
  insert into usage_events (
    id, type, decision_id, tenant_id, user_id, credential_id, requests, denied, tokens, price_per_token, cost_usd, limits,
    granted, reason, degraded, cycle_start, cycle_end, day, decided_at, at, stream_id, budget_grant
  )
  select n || ':' || type, type, n, case when n % 10000 = 1 then 'rare' else 'tenant-' || n % 100 end, 'user-' || n % 1009,
    'key:k0_' || lpad((n % 503)::text, 12, '0'), 1, 0, 0, 0, 0, '[]', type <> 'denied', 'ok', false, start,
    start + interval '1 month', start::date, start + n * step, start + n * step, '0-0',
    case when type = 'adjusted' then jsonb_build_object('tokens', 500 - (n % 2) * 1000, 'expires_at', 0, 'reason', 'r',
      'by', 'admin') end
  from (
    select n, timestamptz '${START}' as start, interval '29 days' / ${EVENTS} as step,
      case when n % 1000 = 0 then 'adjusted' when n % 3 = 1 then 'denied' else 'consumed' end as type
    from generate_series(1, ${EVENTS}) as n
  ) as made;
  insert into audit_events (id, action, actor, tenant_id, target, api_keys, at, stream_id)
  select 'a' || n, case when n % 100 = 0 then 'config.loaded' else 'key.issued' end,
    case when n % 100 = 0 then 'sidecar:s' || n % 7 else 'admin' end, 'tenant-' || n % 100, 'k0_' || lpad(n::text, 12, '0'),
    jsonb_build_array(jsonb_build_object('id', 'k0_' || lpad((n % 503)::text, 12, '0'), 'user_id', 'user-' || n % 1009)),
    timestamptz '${START}' + n * (interval '29 days' / ${EVENTS / 10}), '0-0'
  from generate_series(1, ${EVENTS / 10}) as n;
  analyze`;

const QUESTIONS: Omit<AuditQuery, 'limit'>[] = [
  {},
  { from: '2026-10-11T00:00:00Z', to: '2026-10-12T00:00:00Z' },
  { after: { at: Date.parse('2026-10-11T00:00:00Z'), id: 'x' } },
  { tenant_id: 'tenant-7' },
  { tenant_id: 'rare' },
  { tenant_id: 'nobody' },
  { tenant_id: 'tenant-7', to: '2026-10-03T00:00:00Z' },
  { user_id: 'user-8' },
  { user_id: 'nobody' },
  { actor: 'admin' },
  { actor: 'sidecar:s3' },
  { action: 'request.denied' },
  { action: 'config.loaded' },
  { action: 'budget.granted' },
  { credential_id: 'key:k0_000000000007' },
  { credential_id: 'key:k0_nobodynobody' },
  { target: 'k0_000000000100' },
];

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: Plan[];
}

/** Each table or index that was read, and how many of its rows were looked at. */
const scans = (plan: Plan): [node: string, rows: number][] => [
  ...(plan['Relation Name']
    ? [
        [
          `${plan['Node Type']} on ${plan['Relation Name']}`,
          (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops'],
        ] as [string, number],
      ]
    : []),
  ...(plan.Plans ?? []).flatMap(scans),
];

const [server] = DATABASES;

describe(`of ${EVENTS} usage events and ${EVENTS / 10} audit events`, { timeout: 300_000 }, () => {
  let sql: Sql;

  beforeAll(async () => {
    ({ sql } = (await server?.open()) ?? expect.fail());
    await sql.unsafe(FILL).simple();
  }, 300_000);

  test.each(QUESTIONS)('the page for %o is read by indexes, and hardly more than the page', async (question) => {
    const { parameters, text } = timelineSql({ ...question, limit: LIMIT }, LIMIT + 1) ?? expect.fail();
    const [row] = await sql.unsafe(`explain (analyze, format json) ${text}`, parameters);
    const [{ Plan: plan }] = row?.['QUERY PLAN'] ?? expect.fail();
    const read = scans(plan);
    // A partition without a row is read so.
    expect(read.filter(([node, rows]) => node.startsWith('Seq Scan') && rows > 0)).toEqual([]);
    // A page of each table, beside the grants, of which there are few, and all changes of one user's keys.
    expect(read.reduce((sum, [, rows]) => sum + rows, 0)).toBeLessThanOrEqual(3 * (LIMIT + 1) + EVENTS / 1_000 + 400);
  });

  test('the pages of a tenant are all of its rows, each once, the newest first', async () => {
    const seen: { at: string; id: string }[] = [];
    for (let after: AuditQuery['after'], more = true; more; ) {
      const { data, next } = await auditPage({ tenant_id: 'tenant-7', limit: 1_000, after }, sql);
      seen.push(...data);
      const last = data.at(-1);
      after = last && { at: Date.parse(last.at), id: last.id };
      more = next !== null;
    }
    const [expected] = await sql`
      select (select count(*) from usage_events where tenant_id = 'tenant-7' and type in ('denied', 'adjusted'))::int
        + (select count(*) from audit_events where tenant_id = 'tenant-7')::int as rows`;
    expect(new Set(seen.map(({ id }) => id)).size).toBe(expected?.rows);
    expect(seen).toHaveLength(expected?.rows);
    expect(seen.map(({ at }) => at)).toEqual(
      seen
        .map(({ at }) => at)
        .toSorted()
        .reverse(),
    );
  });

  test.each(['csv', 'json'])('the command writes %s of more rows than there are in one answer', async (format) => {
    const app = new Hono().route('/', auditRoutes({ sql }));
    const { close, url } = await listen(app, { host: '127.0.0.1', port: 0, variable: 'BILLING_PORT' });
    atTestEnd(close);
    const args = ['--url', url, '--action', 'request.denied', '--limit', '2500', '--format', format];
    const child = await startProcess({ script: 'scripts/audit.mjs', args, env: { ADMIN_TOKEN: 'any' } });
    expect((await child.exited).code).toBe(0);
    const text = child.stdout.join('\n');
    const rows: { action: string; id: string }[] =
      format === 'csv' ? parse(text, { columns: true }) : JSON.parse(text).data;
    expect(new Set(rows.map(({ id }) => id)).size).toBe(2_500);
    expect(new Set(rows.map(({ action }) => action))).toEqual(new Set(['request.denied']));
  });
});
