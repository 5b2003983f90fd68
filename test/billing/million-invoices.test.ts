import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sql } from 'postgres';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { closeCycle, type InvoicingDeps } from '../../billing-worker/invoices/close-cycle.ts';
import { dueCycles } from '../../billing-worker/invoices/due-cycles.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { tenantsSchema } from '../../schemas/config/tenants.ts';
import type { StreamEntry } from '../../schemas/usage-stream.ts';
import { TestClock } from '../helpers/clock.ts';
import { fullLength } from '../helpers/full-length.ts';
import { inParallel } from '../helpers/sidecar-client.ts';
import { UsageGenerator } from '../helpers/usage-generator.ts';
import { SOME_DATABASES } from './databases.ts';
import { streamEntry, usageEvent } from './events.ts';

const DAY_MS = 86_400_000;
const SEED = Number(process.env.USAGE_SEED ?? 8_182);
const BATCH = 1_000;
/** The price of a model changes in the middle of a cycle. */
const DEARER = '2026-02-10T06:30:00Z';
const DEAR_MODEL = 'anthropic/claude-sonnet-4-5';

const SIZES: Record<string, { events: number; tenants: number }> = {
  PostgreSQL: fullLength ? { events: 1_000_000, tenants: 500 } : { events: 20_000, tenants: 40 },
  PGlite: fullLength ? { events: 50_000, tenants: 60 } : { events: 1_500, tenants: 8 },
};

const card = parse(readFileSync(join(packageRoot, 'config/models.yaml'), 'utf8')).models;
const models = modelsSchema.parse({
  models: {
    ...card,
    [DEAR_MODEL]: {
      ...card[DEAR_MODEL],
      prices: [{ effective_from: DEARER, input: '6.00', output: '30.00', cache_read: '0.60' }],
    },
  },
});
const PLANS = {
  card: { rate_card: true, markup_percent: '12.5' },
  tiers: { tiers: [{ up_to: 100, price_per_token: '0.01' }, { price_per_token: '0.003' }] },
  fee: { base_fee: '9.99', included_tokens: 50, price_per_token: '0.02' },
};
const planOf = (index: number) => [undefined, 'card', 'tiers', 'fee'][index % 4];

function world(size: { events: number; tenants: number }) {
  const generator = new UsageGenerator({ ...size, seed: SEED, months: 3 });
  const own = Object.entries(generator.tenants.tenants).map(([name, terms], index) => {
    const plan = planOf(index);
    return [name, { ...terms, ...(plan && { plan }) }];
  });
  const tenants = tenantsSchema.parse({ ...generator.tenants, plans: PLANS, tenants: Object.fromEntries(own) });
  return { generator, tenants };
}

async function append(ledger: Ledger, entries: Iterable<StreamEntry>): Promise<void> {
  let batch: StreamEntry[] = [];
  for (const entry of entries) {
    batch.push(entry);
    if (batch.length < BATCH) continue;
    await ledger.append(batch);
    batch = [];
  }
  await ledger.append(batch);
}

/** In another way than the worker: by PostgreSQL's own numbers, from the events of each invoice, line by line. */
async function totalsBySql(sql: Sql, tenantNames: string[]) {
  const names = Object.entries<{ input: string; output: string; aliases?: string[] }>(card).flatMap(([id, model]) =>
    [id, ...(model.aliases ?? [])].map((name) => ({ name, id, input: model.input, output: model.output })),
  );
  const plans = tenantNames.map((tenant, index) => ({ tenant, plan: planOf(index) ?? 'none' }));
  return sql.unsafe(
    `with card as (
      select * from json_to_recordset($1::text::json) as c(name text, id text, input numeric, output numeric)
    ), plans as (
      select * from json_to_recordset($2::text::json) as p(tenant text, plan text)
    ), billed as (
      select b.invoice_id, i.finalised_at, plan, e.*,
        e.decided_at >= $3::timestamptz and card.id = $4 as is_dear, card.id as card_id,
        card.input as price_input, card.output as price_output
      from billed_events b join usage_events e on e.id = b.event_id and e.decided_at = b.decided_at
      join invoices i on i.id = b.invoice_id join plans on plans.tenant = e.tenant_id
      left join card on card.name = coalesce(candidate, model, '')
    ), stamped as (
      select invoice_id, round(sum(tokens) * price_per_token, 2) as amount from billed where plan = 'none'
      group by invoice_id, cycle_start, price_per_token
    ), by_model as (
      select invoice_id, cycle_start, sum(case kind
          when 'input' then coalesce(input_tokens, 0) when 'output' then coalesce(output_tokens, 0)
          when 'cache_read' then coalesce(cache_read_tokens, 0) else coalesce(cache_write_tokens, 0) end)
        * case when not is_dear then case kind when 'output' then price_output else price_input end
            when kind = 'output' then 30.00 when kind = 'cache_read' then 0.60 else 6.00 end / 1000000 as exact
      from billed, unnest(array['input', 'output', 'cache_read', 'cache_write']) as kind
      where plan = 'card' and card_id is not null
      group by invoice_id, cycle_start, card_id, is_dear, price_input, price_output, kind
    ), carded as (
      select invoice_id, round(exact, 2) as amount from by_model
      union all
      select invoice_id, round(sum(exact) * 0.125, 2) from by_model group by invoice_id, cycle_start
    ), counted as (
      select invoice_id, cycle_start, plan, sum(tokens) as tokens, coalesce(sum(sum(tokens)) over (
          partition by tenant_id, cycle_start order by finalised_at groups between unbounded preceding and 1 preceding
        ), 0) as before
      from billed where plan in ('tiers', 'fee') group by invoice_id, cycle_start, plan, tenant_id, finalised_at
    ), metered as (
      select invoice_id, round((least(before + tokens, 100) - least(before, 100)) * 0.01, 2) as amount from counted where plan = 'tiers'
      union all
      select invoice_id, round((greatest(before + tokens, 100) - greatest(before, 100)) * 0.003, 2) from counted where plan = 'tiers'
      union all
      select invoice_id, round((greatest(before + tokens - 50, 0) - greatest(before - 50, 0)) * 0.02, 2) from counted where plan = 'fee'
      union all
      select i.id, 9.99 from invoices i join plans on plans.tenant = i.tenant_id where plan = 'fee'
    ), parts as (
      select * from stamped union all select * from carded union all select * from metered
    )
    select i.id, i.total::text as total, coalesce(sum(parts.amount), 0)::numeric(30, 2)::text as by_sql
    from invoices i left join parts on parts.invoice_id = i.id group by i.id, i.total`,
    [JSON.stringify(names), JSON.stringify(plans), DEARER, DEAR_MODEL],
  );
}

describe.each(SOME_DATABASES)('on $name', ({ name, open }) => {
  test('three months of many tenants: each invoice is what SQL makes of its events, to the cent', {
    timeout: 1_800_000,
  }, async () => {
    const { sql } = await open();
    const { generator, tenants } = world(SIZES[name] as (typeof SIZES)[string]);
    const clock = new TestClock(generator.to);
    const deps: InvoicingDeps = { sql, terms: () => ({ tenants, models }), issuer: 'INV', clock };
    const ledger = new Ledger({ sql, terms: { tenants, calendar: new Calendar() }, onCommit: () => {} });
    const closeAll = async (endedBy: number) => {
      const due = await dueCycles({ endedBy }, deps.terms(), sql);
      const closed = await inParallel(due.length, 4, async (index) => {
        clock.advance(1);
        const { cycle, tenantId } = due[index] as (typeof due)[number];
        return closeCycle(tenantId, cycle, 'test', deps);
      });
      return closed.filter(({ invoice }) => invoice).length;
    };
    await append(ledger, generator.onTime());
    const inTime = await closeAll(generator.to);
    await append(ledger, generator.late());
    // One more event of each, so that each has a cycle in which what was late is billed.
    const names = Object.keys(tenants.tenants);
    const after = generator.to + 20 * DAY_MS;
    await append(
      ledger,
      names.map((tenant_id) => streamEntry(usageEvent({ tenant_id, decided_at: after, at: after }))),
    );
    clock.set(generator.to + 200 * DAY_MS);
    const inAll = inTime + (await closeAll(generator.to + 200 * DAY_MS));

    const totals = await totalsBySql(sql, names);
    expect(totals).toHaveLength(inAll);
    expect(totals.filter(({ by_sql, total }) => by_sql !== total)).toEqual([]);
    const [adjusted] = await sql`select count(*)::int as lines from invoice_lines where adjustment`;
    expect(adjusted?.lines).toBeGreaterThan(names.length / 2);
    const [dear] = await sql`select count(*)::int as lines from invoice_lines where price_from is not null`;
    expect(dear?.lines).toBeGreaterThan(0);
    // Each event that bills anything is on one invoice, but for those of models without a price.
    const [left] = await sql`
      select count(*)::int as events from usage_events e
      where type <> 'denied' and (tokens <> 0 or requests <> 0 or input_tokens <> 0 or output_tokens <> 0)
        and not exists (select from billed_events b where b.event_id = e.id and b.decided_at = e.decided_at)
        and not exists (select from held_events h where h.event_id = e.id and h.decided_at = e.decided_at)`;
    expect(left?.events).toBe(0);
    console.info(`${name}: ${generator.events} events, ${inAll} invoices, ${adjusted?.lines} adjustments`);
  });
});
