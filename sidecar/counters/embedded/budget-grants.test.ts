import { expect, test } from 'vitest';
import { BudgetGrantsFull } from '../budget-grant.ts';
import { decideBudgetGrant, decideRevocation, liveBudgetGrants } from './budget-grants.ts';
import { apply } from './effect.ts';
import { emptyState, type State } from './state.ts';

const START = 1_767_225_600_000;
const MOST = 2;

function boost(state: State, id: string, expiresAt: number, now: number): void {
  const grant = { id, tenantId: 'acme', userId: 'alice', tokens: 5, expiresAt, reason: '', by: 'admin' };
  apply(state, decideBudgetGrant(state, grant, MOST, now).effect ?? {});
}

const live = (state: State, now: number) => liveBudgetGrants(state, undefined, now)?.grants.map(({ id }) => id);

test('what is over and not swept yet is not told, takes no room, and is not taken back', () => {
  const state = emptyState();
  boost(state, 'long', START + 100, START);
  boost(state, 'short', START + 1, START);
  expect(live(state, START)).toEqual(['long', 'short']);
  expect(() => boost(state, 'late', START + 100, START)).toThrow(BudgetGrantsFull);
  expect(live(state, START + 1)).toEqual(['long']);
  expect(decideRevocation(state, 'short', 'admin', START + 1)).toEqual({ answer: false });
  boost(state, 'late', START + 100, START + 1);
  expect(live(state, START + 1)).toEqual(['long', 'late']);
  expect(() => boost(state, 'too late', START + 100, START + 1)).toThrow(BudgetGrantsFull);
});
