import { expect, test } from 'vitest';
import { TestClock } from '../../test/helpers/clock.ts';
import { type DecisionRecord, RECORD_TTL_MS } from '../counters/contract.ts';
import { newDecisionId } from '../decision/decision-id.ts';
import { unknownDecision } from './unknown-decision.ts';

const clock = new TestClock();

const another: DecisionRecord = {
  decisionId: 'd',
  tenantId: 'another',
  state: 'settled',
  policyRevision: undefined,
  outcome: { granted: true, candidate: null, limits: [], closed: [] },
  decidedAt: clock.now(),
};

const aged = (milliseconds: number) => newDecisionId(clock.now() - milliseconds, 7);

test.each<[string, string, DecisionRecord | undefined, number]>([
  ['of just 24 hours that nobody knows', aged(RECORD_TTL_MS), undefined, 404],
  ['of a millisecond more', aged(RECORD_TTL_MS + 1), undefined, 410],
  ['of another tenant, kept for longer because it was reported', aged(RECORD_TTL_MS + 1), another, 404],
  ['that is of the future', aged(-1), undefined, 404],
  ['that is no decision', 'x.0', undefined, 404],
  ['of another version of ids', '00000000-0000-4000-8000-000000000000.0', undefined, 404],
])('a decision %s', async (_, id, record, status) => {
  const refusal = await unknownDecision(id, { clock, store: { record: async () => record } });
  expect(refusal.status).toBe(status);
  expect(refusal.body.code).toBe(status === 410 ? 'resource_gone' : 'resource_not_found');
  expect(refusal.message).toContain(id);
});
