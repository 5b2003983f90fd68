import { Calendar, type Period } from '../runtime/calendar.ts';
import type { BillingCycle, TenantsConfig } from '../schemas/config/tenants.ts';

export type Cycle = Period;

/** The cycle that holds an instant. Cycles tile time, with neither gap nor overlap. */
export function cycleAt(instant: number, config: BillingCycle): Cycle {
  const { anchor_day: day, period, timezone } = config;
  const { end, start } = new Calendar({ period, day, month: anchorMonthOf(config), timezone }).at(instant);
  return { start, end };
}

/** The month of its quarter or year in which a cycle begins, from 1; that of a shorter one is of no meaning. */
export const anchorMonthOf = (config: BillingCycle): number => ('anchor_month' in config ? config.anchor_month : 1);

/** The date of an instant in a time zone, as `2026-01-31`, and from when to when it is that day. Days tile cycles. */
export function dayAt(instant: number, timezone: string): Cycle & { date: string } {
  const days = new Calendar({ period: 'day', day: 1, timezone });
  const { end, index, start } = days.at(instant);
  return { start, end, date: new Date(days.dateOf(index)).toISOString().slice(0, 10) };
}

/** Whose cycle it is: the tenant's own, else the default. */
export function billingCycleOf(tenants: TenantsConfig, tenantId: string): BillingCycle {
  const own = Object.hasOwn(tenants.tenants, tenantId) ? tenants.tenants[tenantId] : undefined;
  return own?.billing_cycle ?? tenants.defaults.billing_cycle;
}
