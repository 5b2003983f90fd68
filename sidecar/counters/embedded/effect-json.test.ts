import { expect, test } from 'vitest';
import { usageEventSchema } from '../../../schemas/usage-event.ts';
import type { Effect } from './effect.ts';
import { effectJson, readEffect } from './effect-json.ts';
import { usageEvent } from './usage-event.ts';

const bucket = { used: 105, at: 2, rest: 1, since: 1, refilled: 0, announced: 80 };
const event = usageEvent('voided', {
  decision_id: 'd',
  tenant_id: 'größe "1"\n',
  limits: [],
  outcome: { granted: true, reason: 'ok' },
  decided_at: 1,
  at: 2,
});

test.each<Effect>([
  {},
  { counters: [] },
  { counters: [['größe "1"', { state: bucket, emptyAt: 3 }]], event: [7, event] },
  { counters: [['a', null]], request: ['r', null], gate: ['g', [5, 6]] },
  { event: [7, event], delivered: [[7, 2]], acknowledged: [1, 2] },
])('%j is read as it was written', (effect) => {
  expect(readEffect(effectJson(effect))).toEqual(effect);
});

test('it is JSON, with the event in it as it is', () => {
  const { event: written } = JSON.parse(effectJson({ budgetGrantsVersion: undefined as never, event: [7, event] }));
  expect(written[0]).toBe(7);
  expect(usageEventSchema.parse(written[1])).toMatchObject({ id: 'd:voided', tenant_id: 'größe "1"\n' });
});
