import { DateTime, IANAZone } from 'luxon';
import type { BillingCycle, TenantsConfig } from '../schemas/config/tenants.ts';

/** Half-open: `start` belongs to it, `end` to the next one. Epoch milliseconds. */
export interface Cycle {
  start: number;
  end: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** 2000-01-03 was a Monday. */
const A_MONDAY = Date.UTC(2000, 0, 3);

/**
 * The cycle that holds an instant. Boundaries are the first instants of the anchor's dates in the cycle's time zone,
 * each counted from the anchor itself and never from the last boundary: a month without the 31st ends one early and
 * the next month's is the 31st again. So cycles tile time, with neither gap nor overlap.
 */
export function cycleAt(instant: number, cycle: BillingCycle): Cycle {
  const zone = IANAZone.create(cycle.timezone);
  const guess = indexOf(DateTime.fromMillis(instant, { zone }), cycle);
  const { start, end } = periodAt(instant, guess, (index) => firstInstant(anchorDate(index, cycle), zone));
  return { start, end };
}

/** The date of an instant in a time zone, as `2026-01-31`, and from when to when it is that day. Days tile cycles. */
export function dayAt(instant: number, timezone: string): Cycle & { date: string } {
  const zone = IANAZone.create(timezone);
  const { year, month, day } = DateTime.fromMillis(instant, { zone });
  const guess = Date.UTC(year, month - 1, day) / DAY_MS;
  const { start, end, index } = periodAt(instant, guess, (index) => firstInstant(index * DAY_MS, zone));
  return { start, end, date: new Date(index * DAY_MS).toISOString().slice(0, 10) };
}

/** Whose cycle it is: the tenant's own, else the default. */
export function billingCycleOf(tenants: TenantsConfig, tenantId: string): BillingCycle {
  const own = Object.hasOwn(tenants.tenants, tenantId) ? tenants.tenants[tenantId] : undefined;
  return own?.billing_cycle ?? tenants.defaults.billing_cycle;
}

/**
 * The period that holds an instant. The date of an instant only tells its index to within one: before the anchor's
 * day, or where a clock that was set back over midnight had shown the new date before.
 */
function periodAt(instant: number, guess: number, boundary: (index: number) => number): Cycle & { index: number } {
  let index = guess;
  let start = boundary(index);
  while (instant < start) start = boundary(--index);
  let end = boundary(index + 1);
  while (instant >= end) {
    start = end;
    end = boundary(++index + 1);
  }
  return { start, end, index };
}

/** Months since year 0, or weeks since that Monday. */
function indexOf(local: DateTime, { period, anchor_day }: BillingCycle): number {
  if (period === 'month') return local.year * 12 + local.month - 1;
  const date = Date.UTC(local.year, local.month - 1, local.day);
  return Math.floor((date - A_MONDAY - (anchor_day - 1) * DAY_MS) / (7 * DAY_MS));
}

/** The date on which cycle `index` begins, as the UTC midnight of that date. */
function anchorDate(index: number, { period, anchor_day }: BillingCycle): number {
  if (period === 'week') return A_MONDAY + (index * 7 + anchor_day - 1) * DAY_MS;
  const year = Math.floor(index / 12);
  const month = index - year * 12;
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  return Date.UTC(year, month, Math.min(anchor_day, lastDay));
}

/**
 * The first instant at which a zone's clocks show the date: its midnight, the first of two where they are set back
 * over it, and where they skip midnight the instant of the change. `date` is the UTC midnight of the date.
 */
function firstInstant(date: number, zone: IANAZone): number {
  const offsetAt = (instant: number) => zone.offset(instant) * MINUTE_MS;
  const candidates = [date - offsetAt(date - DAY_MS), date - offsetAt(date + DAY_MS)].sort((a, b) => a - b);
  const midnight = candidates.find((instant) => instant + offsetAt(instant) === date);
  if (midnight !== undefined) return midnight;
  let [before, after] = [candidates[0] as number, candidates[1] as number];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (middle + offsetAt(middle) < date) before = middle;
    else after = middle;
  }
  return after;
}
