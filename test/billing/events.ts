import type { AuditEvent } from '../../schemas/audit-event.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import type { StreamEntry } from '../../schemas/usage-stream.ts';

let made = 0;

/** A usage event as the counters write it: one request of `acme`, one bucket token, granted and final. */
export function usageEvent(over: Partial<UsageEvent> = {}): UsageEvent {
  const decision_id = over.decision_id ?? `0192f0c1-0000-7000-8000-${String(++made).padStart(12, '0')}.0`;
  const type = over.type ?? 'consumed';
  return {
    v: 1,
    id: `${decision_id}:${type}`,
    type,
    decision_id,
    tenant_id: 'acme',
    limits: [billed(1)],
    outcome: { granted: true, reason: 'ok' },
    count: 1,
    decided_at: Date.parse('2026-01-15T12:00:00Z'),
    at: Date.parse('2026-01-15T12:00:00Z'),
    ...over,
  };
}

/** A limit that bills so many tokens. */
export const billed = (amount: number): UsageEvent['limits'][number] => ({
  id: 'tenant',
  kind: 'token_bucket',
  unit: 'tokens',
  billed: true,
  amount,
  before: 10_000,
  after: 10_000 - amount,
  period_start: Date.parse('2026-01-15T00:00:00Z'),
});

let entries = 0;

/** A stream entry that holds this text, or this event as JSON. */
export function streamEntry(event: UsageEvent | AuditEvent | string | undefined): StreamEntry {
  const text = typeof event === 'object' ? JSON.stringify(event) : event;
  return { stream: 'ocr:{p0}:usage', id: `1768478400000-${entries++}`, event: text, redelivered: 0 };
}

/** The same items in another order, the same for the same seed. */
export function shuffled<Item>(items: Item[], seed: number): Item[] {
  const result = [...items];
  let state = seed;
  for (let i = result.length - 1; i > 0; i--) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    const j = state % (i + 1);
    [result[i], result[j]] = [result[j] as Item, result[i] as Item];
  }
  return result;
}

export function chunks<Item>(items: Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
