import { Calendar } from '../../runtime/calendar.ts';
import { type Plan, type PlanChange, planChanges } from '../../schemas/config/plans.ts';
import { isDate } from '../../schemas/config/start.ts';
import type { TenantsConfig } from '../../schemas/config/tenants.ts';
import { billingCycleOf, type Cycle } from '../cycles.ts';

/** The part of a cycle in which one plan holds: epoch milliseconds, `to` belongs to the next one. */
export interface PlanSpan {
  /** Counted from 0, within the cycle. */
  index: number;
  /** Undefined: the tenant has no plan. */
  name: string | undefined;
  from: number;
  to: number;
  plan: Plan;
}

const DAY_MS = 86_400_000;

/** No fee, and each token at the price that is stamped on its event. */
const NO_PLAN: Plan = { currency: 'USD', rate_card: false };

/** The plans of a tenant within a cycle, in the order of time. They tile it, with neither gap nor overlap. */
export function planSpans(tenants: TenantsConfig, tenantId: string, cycle: Cycle): PlanSpan[] {
  const own = Object.hasOwn(tenants.tenants, tenantId) ? tenants.tenants[tenantId] : undefined;
  const changes = planChanges(own?.plan ?? tenants.defaults.plan);
  if (changes.length === 0) return [{ index: 0, name: undefined, from: cycle.start, to: cycle.end, plan: NO_PLAN }];
  const starts = startsOf(changes, billingCycleOf(tenants, tenantId).timezone);
  return changes
    .map(({ name }, i) => ({
      name,
      from: Math.max(cycle.start, starts[i] ?? cycle.start),
      to: Math.min(cycle.end, starts[i + 1] ?? cycle.end),
      plan: planCalled(name, tenants),
    }))
    .filter(({ from, to }) => from < to)
    .map((span, index) => ({ index, ...span }));
}

/** From when on each holds, none before the one that it follows: a date and an instant of one day may be in either order. */
function startsOf(changes: PlanChange[], timezone: string): number[] {
  const days = new Calendar({ period: 'day', day: 1, timezone });
  const starts: number[] = [];
  for (const { from } of changes) {
    const instant = from === undefined ? Number.MIN_SAFE_INTEGER : Date.parse(from);
    const start = from !== undefined && isDate(from) ? days.start(instant / DAY_MS) : instant;
    starts.push(Math.max(start, starts.at(-1) ?? start));
  }
  return starts;
}

/** The configuration was refused if a tenant's plan were not there. */
function planCalled(name: string, { plans = {} }: TenantsConfig): Plan {
  const plan = Object.hasOwn(plans, name) ? plans[name] : undefined;
  if (!plan) throw new Error(`there is no plan ${JSON.stringify(name)}`);
  return plan;
}
