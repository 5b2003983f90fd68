import type { Sql } from 'postgres';
import { Calendar } from '../../runtime/calendar.ts';
import { type Allocated, allocate, decimal } from './allocate.ts';
import type { Method } from './methods.ts';
import { noUsage, type TeamUsage, teamUsage } from './team-usage.ts';

export interface AllocationQuery {
  cents: bigint;
  by: Method;
  /** `2026-10` */
  month: string;
  timezone: string;
  tenantId: string | undefined;
  /** Who gets a row also without any usage. */
  teams: readonly string[];
}

export interface AllocationReport {
  invoice_usd: string;
  by: Method;
  month: string;
  timezone: string;
  /** The instants of the month in that time zone, half-open. */
  period: { start: string; end: string };
  data: Allocated[];
}

/** The invoice of a month divided among the teams; `impossible` says why the ledger has nothing to divide it by. */
export async function allocationReport(
  query: AllocationQuery,
  sql: Sql,
): Promise<AllocationReport | { impossible: string }> {
  const { by, cents, month, tenantId, timezone } = query;
  const period = monthIn(timezone, month);
  const usage = await teamUsage({ by, period, tenantId }, sql);
  const impossible = whyImpossible(usage, query);
  if (impossible) return { impossible };
  return {
    invoice_usd: decimal(cents, 2),
    by,
    month,
    timezone,
    period: { start: new Date(period.start).toISOString(), end: new Date(period.end).toISOString() },
    data: allocate(cents, withIdleRows(usage, query)),
  };
}

function monthIn(timezone: string, text: string) {
  const [year = 0, month = 0] = text.split('-').map(Number);
  const months = new Calendar({ period: 'month', day: 1, timezone });
  const index = year * 12 + month - 1;
  return { start: months.start(index), end: months.start(index + 1) };
}

/** An invoice for which nothing was used is a question for a person, and not one team's, nor nobody's, to pay. */
function whyImpossible(usage: TeamUsage[], { by, month, timezone }: AllocationQuery): string | undefined {
  const negative = usage.find(({ weight }) => weight < 0n);
  if (negative) {
    const who = JSON.stringify(negative.team_id ?? 'unattributed');
    return `team ${who} has used ${negative.used} in ${month} by ${by}: a correction of what the ledger does not have`;
  }
  if (usage.some(({ weight }) => weight > 0n)) return undefined;
  const others = by === 'requests' ? '' : '; ask by another measure, such as requests';
  return `the ledger has no usage by ${by} in ${month} (${timezone}) to allocate by${others}`;
}

/** Adds teams that the ledger does not know in this month, and the row of what has no team. */
function withIdleRows(usage: TeamUsage[], { by, teams, tenantId }: AllocationQuery): TeamUsage[] {
  const known = new Set(usage.map(({ team_id }) => team_id));
  const wanted = [...new Set<string | null>([...teams, null])].filter((team) => !known.has(team));
  return [...usage, ...wanted.map((team) => noUsage(by, team === null ? null : (tenantId ?? null), team))];
}
