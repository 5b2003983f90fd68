import type { Sql } from 'postgres';
import type { Period } from '../../runtime/calendar.ts';
import { formatUsd } from '../pricing/pricing.ts';
import { type Method, sourceOf } from './methods.ts';

/** What a team of a tenant has used. What is used without a team is one of these, with null for both. */
export interface TeamUsage {
  tenant_id: string | null;
  team_id: string | null;
  /** For people: a whole number, or dollars. */
  used: string;
  /** The same in units of 10^-12, the smallest that the ledger knows: a whole number for money too. */
  weight: bigint;
}

export interface UsageOf {
  by: Method;
  period: Period;
  /** Undefined: all tenants. */
  tenantId: string | undefined;
}

/** The usage of each team in the period: by the time of the decision, or of the gateway's answer. */
export async function teamUsage({ by, period, tenantId }: UsageOf, sql: Sql): Promise<TeamUsage[]> {
  const { instant, sum, table } = sourceOf(by);
  const text = `
    with used as (
      select case when team_id <> '' then tenant_id end as tenant_id, nullif(team_id, '') as team_id, ${sum} as used
      from ${table}
      where ($1::text is null or tenant_id = $1)
        and ${instant} >= $2::text::timestamptz and ${instant} < $3::text::timestamptz
      group by 1, 2
    )
    select tenant_id, team_id, used::text as used, trunc(used * 1000000000000)::text as weight from used`;
  const [start, end] = [period.start, period.end].map((instant) => new Date(instant).toISOString());
  const rows = await sql.unsafe(text, [tenantId ?? null, start as string, end as string], { prepare: true });
  return rows.map(({ team_id, tenant_id, used, weight }) => ({
    tenant_id,
    team_id,
    used: shown(used, by),
    weight: BigInt(weight),
  }));
}

/** Of a team that has used nothing. */
export const noUsage = (by: Method, tenant_id: string | null, team_id: string | null): TeamUsage => ({
  tenant_id,
  team_id,
  used: shown('0', by),
  weight: 0n,
});

const shown = (amount: string, by: Method) => (by === 'cost' ? formatUsd(amount) : amount);
