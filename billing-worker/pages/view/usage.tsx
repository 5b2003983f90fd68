import type { FC } from 'hono/jsx';
import { billingCycleOf } from '../../cycles.ts';
import { planSpans } from '../../pricing/plan.ts';
import type { Group, Used } from '../data/usage-by-day.ts';
import { usageByDay } from '../data/usage-by-day.ts';
import type { PagesDeps } from '../deps.ts';
import { Chart } from './chart.tsx';
import { grouped, money } from './format.tsx';
import { Choice, type DaySpan, lastDays, MEASURES, type Measure, measureOf, PERIODS, periodOf } from './period.tsx';
import { type Query, Table } from './table.tsx';

/** What a page shows of usage: by day, and summed up. */
export interface UsageView {
  span: DaySpan;
  measure: Measure;
  currency: string;
  daily: Used[];
  /** Each a table of its own. */
  sums: { by: Group; rows: Used[] }[];
}

interface UsageAsked {
  tenantId: string;
  userId?: string | undefined;
  /** By what the chart is coloured. */
  series: Group;
  sums: readonly Group[];
  days: string | undefined;
  measure: string | undefined;
}

export async function readUsage(asked: UsageAsked, { clock, sql, terms }: PagesDeps): Promise<UsageView> {
  const { tenantId, userId } = asked;
  const { tenants } = terms();
  const span = lastDays(Number(periodOf(asked.days)), clock.now(), billingCycleOf(tenants, tenantId).timezone);
  const scope = { tenantId, userId, from: span.from, to: span.to };
  const [daily, ...sums] = await Promise.all([
    usageByDay({ ...scope, by: asked.series, daily: true }, terms(), sql),
    ...asked.sums.map((by) => usageByDay({ ...scope, by, daily: false }, terms(), sql)),
  ]);
  const now = clock.now();
  const currency = planSpans(tenants, tenantId, { start: now, end: now + 1 })[0]?.plan.currency ?? 'USD';
  return {
    span,
    measure: measureOf(asked.measure),
    currency,
    daily: daily ?? [],
    sums: asked.sums.map((by, index) => ({ by, rows: sums[index] ?? [] })),
  };
}

const VALUES: Record<Measure, (used: Used) => number> = {
  spend: ({ spend }) => Number(spend),
  tokens: ({ llmTokens }) => llmTokens,
  requests: ({ requests }) => requests,
};

/** A chart by day, with links to other periods and measures. */
export const UsageChart: FC<{ view: UsageView; path: string; query: Query; title: string }> = ({
  path,
  query,
  title,
  view,
}) => {
  const { currency, daily, measure, span } = view;
  const shown = (value: number) =>
    measure === 'spend' ? money(value.toFixed(6), currency) : grouped(Math.round(value));
  const points = daily.map((used) => ({
    day: used.day,
    series: used.key === '' ? 'no name' : used.key,
    value: VALUES[measure](used),
  }));
  return (
    <>
      <div class="head">
        <Choice
          label="Period"
          name="days"
          value={String(span.days.length)}
          options={PERIODS}
          path={path}
          query={query}
        />
        <Choice label="Measure" name="measure" value={measure} options={MEASURES} path={path} query={query} />
      </div>
      <Chart
        title={`${MEASURES[measure]} by day, ${title}`}
        days={span.days}
        points={points}
        shown={shown}
        empty="Nothing was used in these days."
      />
    </>
  );
};

const NAMES: Record<Group, string> = { model: 'Model', user: 'User', team: 'Team', tenant: 'Tenant', total: 'All' };

/** Sums of the period. `hrefOf` makes the names of one kind links. */
export const UsageSums: FC<{ rows: Used[]; by: Group; currency: string; hrefOf?: (key: string) => string }> = ({
  by,
  currency,
  hrefOf,
  rows,
}) => (
  <Table
    caption={`Usage by ${NAMES[by].toLowerCase()}`}
    rows={[...rows].sort((a, b) => Number(b.spend) - Number(a.spend) || b.requests - a.requests)}
    empty="Nothing was used in these days."
    columns={[
      {
        name: NAMES[by],
        cell: ({ key }) =>
          key === '' ? <span class="muted">not named</span> : hrefOf ? <a href={hrefOf(key)}>{key}</a> : key,
      },
      { name: 'Requests', number: true, cell: ({ requests }) => grouped(requests) },
      { name: 'Denied', number: true, cell: ({ denied }) => grouped(denied) },
      { name: 'LLM tokens', number: true, cell: ({ llmTokens }) => grouped(llmTokens) },
      { name: 'Spend', number: true, cell: ({ spend }) => money(spend, currency) },
    ]}
  />
);
