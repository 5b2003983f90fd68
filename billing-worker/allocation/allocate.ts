import { largestRemainder } from './largest-remainder.ts';
import type { TeamUsage } from './team-usage.ts';

/** A team's part of an invoice. `team_id` is null for what was used without a team. */
export interface Allocated {
  tenant_id: string | null;
  team_id: string | null;
  used: string;
  /** Rounded to six places, for people: amounts are never computed from it. */
  share: string;
  amount_usd: string;
}

const SHARE_UNITS = 1_000_000n;

/**
 * Divides an invoice by usage: the amounts sum to it to the cent. The rows come in the order of the bytes of tenant and
 * team, which also breaks ties, with what has no team last; the order in which usage is given is of no meaning.
 * No weight may be negative, nor all be zero.
 */
export function allocate(cents: bigint, usage: readonly TeamUsage[]): Allocated[] {
  const rows = usage.toSorted(byTenantAndTeam);
  const weights = rows.map(({ weight }) => weight);
  const total = weights.reduce((all, weight) => all + weight, 0n);
  const amounts = largestRemainder(cents, weights);
  return rows.map(({ team_id, tenant_id, used, weight }, index) => ({
    tenant_id,
    team_id,
    used,
    share: decimal((2n * weight * SHARE_UNITS + total) / (2n * total), 6),
    amount_usd: decimal(amounts[index] as bigint, 2),
  }));
}

/** A whole number of units of 10^-places, which is not negative. */
export function decimal(units: bigint, places: number): string {
  const digits = String(units).padStart(places + 1, '0');
  return `${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

function byTenantAndTeam(a: TeamUsage, b: TeamUsage): number {
  if (a.team_id === null || b.team_id === null) return Number(a.team_id === null) - Number(b.team_id === null);
  return byBytes(a.tenant_id ?? '', b.tenant_id ?? '') || byBytes(a.team_id, b.team_id);
}

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
