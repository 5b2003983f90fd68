import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tenantsSchema } from '../../schemas/config/tenants.ts';
import { type UsageEvent, usageEventSchema } from '../../schemas/usage-event.ts';
import { UsageGenerator } from '../../test/helpers/usage-generator.ts';
import { Calendar } from './calendar.ts';
import { ledgerRow } from './ledger-row.ts';
import { parseEntry } from './parse-entry.ts';
import { isUsual } from './usual-event.ts';

const FULL = {
  v: 1,
  id: 'd.0:settled',
  type: 'settled',
  decision_id: 'd.0',
  request_id: 'r',
  run_id: 'run',
  tenant_id: 'acme',
  user_id: 'alice',
  team_id: 'team',
  project_id: 'project',
  department_id: 'department',
  agent_id: 'agent',
  channel: 'slack',
  credential_id: 'key:k0',
  source_ip: '192.0.2.1',
  provider: 'lab',
  model: 'lab/model',
  candidate: 'lab/other',
  limits: [
    { id: 'a', kind: 'window', unit: 'tokens', billed: true, amount: -3, before: 5, after: 2, period_start: 0 },
    { id: 'b', kind: 'window', unit: 'usd', amount: 3, before: 5, after: 8, period_start: 7 },
  ],
  usage: { input: 1, output: 2, cache_read: 3, cache_write: 4, reasoning: 5 },
  outcome: { granted: true, reason: 'ok' },
  policy_revision: 'r1',
  degraded: false,
  count: 1,
  decided_at: 1_768_478_400_000,
  at: 1_768_478_401_000,
};

const terms = {
  tenants: tenantsSchema.parse({
    defaults: { capacity: 1, refill: 'daily', price_per_token: '0.1', billing_cycle: { period: 'month' } },
    tenants: {},
  }),
  calendar: new Calendar(),
};
const rowOf = (event: UsageEvent) => ledgerRow(event, '1-0', terms);

/** All objects and lists in a value, itself too. */
function parts(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return [];
  return [value, ...Object.values(value).flatMap(parts)];
}

/** What fields are changed to: what is nearly right, and anything. */
const values = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    '',
    'x',
    'a"b\\c',
    '\u0000',
    '\ud800',
    0,
    -0,
    1,
    -1,
    0.5,
    2 ** 53,
    1e300,
    true,
    [],
    {},
    [[]],
  ),
  fc.jsonValue(),
);
const names = fc.constantFrom(
  ...new Set(parts(FULL).flatMap((part) => (Array.isArray(part) ? ['0', '2'] : Object.keys(part)))),
  'grant',
  'more',
  '__proto__',
);
const changes = fc.array(fc.record({ part: fc.nat(), name: names, value: fc.option(values, { nil: undefined }) }), {
  minLength: 0,
  maxLength: 3,
});

/** The text of an event in which some fields are gone, changed, or more than there are. */
const texts = changes.map((each) => {
  const event = structuredClone(FULL);
  for (const { name, part, value } of each) {
    const within = parts(event);
    const chosen = within[part % within.length] as object;
    Object.defineProperty(chosen, name, {
      value: structuredClone(value),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return JSON.stringify(event);
});

test('what is usual, the schema takes as it is; and so each text is read as by the schema alone', () => {
  const seen = { usual: 0, right: 0, wrong: 0 };
  fc.assert(
    fc.property(texts, (text) => {
      const json = JSON.parse(text);
      const bySchema = usageEventSchema.safeParse(json);
      const parsed = parseEntry(text);
      // Rules beside the schema: newer versions, well-formed Unicode and the end of time are refused, audit events are others.
      if (parsed.kind === 'usage') expect(rowOf(parsed.event)).toEqual(rowOf(bySchema.data as UsageEvent));
      if (parsed.kind === 'unreadable' && bySchema.success) expect(parsed.reason).toMatch(/surrogate|year 10000/);
      if (!text.includes('\\u') && isUsual(json)) {
        seen.usual++;
        expect(bySchema.data).toEqual(json);
      }
      seen[bySchema.success ? 'right' : 'wrong']++;
    }),
    { numRuns: 3_000 },
  );
  // Else it has shown nothing.
  expect(Math.min(seen.usual, seen.right, seen.wrong)).toBeGreaterThan(200);
});

test('what the counters write is usual, but for what is rare', () => {
  const usage = new UsageGenerator({ seed: 7, events: 2_000, tenants: 50, months: 3 });
  const events = Array.from({ length: usage.events }, (_, index) => usage.event(index));
  const unusual = events.filter((event) => !isUsual(JSON.parse(JSON.stringify(event))));
  expect(unusual.every(({ grant }) => grant !== undefined)).toBe(true);
  expect(unusual.length).toBeLessThan(100);
});
