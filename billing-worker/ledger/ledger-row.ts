import type { TenantsConfig } from '../../schemas/config/tenants.ts';
import type { usageEvents } from '../../schemas/tables.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import { billingCycleOf } from '../cycles.ts';
import { pricePerToken } from '../pricing.ts';
import type { Calendar } from './calendar.ts';

/** A row of the ledger before the database adds what it computes itself. */
export type LedgerRow = Omit<typeof usageEvents.$inferInsert, 'cost_usd' | 'recorded_at'>;

export interface Terms {
  tenants: TenantsConfig;
  calendar: Calendar;
}

/** The ledger row of a usage event: what it bills, at which price, in which cycle. `decided_at` selects both. */
export function ledgerRow(event: UsageEvent, streamId: string, { calendar, tenants }: Terms): LedgerRow {
  const { count, decided_at, limits, outcome, tenant_id, type, usage, v: _, ...ids } = event;
  const { cycle, day } = calendar.at(decided_at, billingCycleOf(tenants, tenant_id));
  return {
    ...ids,
    type,
    tenant_id,
    requests: type === 'consumed' || type === 'reserved' ? count : 0,
    denied: type === 'denied' ? count : 0,
    tokens: billedTokens(limits),
    input_tokens: usage?.input,
    output_tokens: usage?.output,
    cache_read_tokens: usage?.cache_read,
    cache_write_tokens: usage?.cache_write,
    reasoning_tokens: usage?.reasoning,
    price_per_token: pricePerToken(tenants, tenant_id),
    limits,
    granted: outcome.granted,
    reason: outcome.reason,
    degraded: event.degraded ?? false,
    cycle_start: new Date(cycle.start),
    cycle_end: new Date(cycle.end),
    day: day.date,
    decided_at: new Date(decided_at),
    at: new Date(event.at),
    stream_id: streamId,
  };
}

/** Each amount is below 2^53, their sum need not be. */
const billedTokens = (limits: UsageEvent['limits']) =>
  limits
    .filter(({ billed, unit }) => billed && unit === 'tokens')
    .reduce((sum, { amount }) => sum + BigInt(amount), 0n);
