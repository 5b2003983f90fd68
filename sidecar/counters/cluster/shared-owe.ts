import type { Owed, OweResult } from '../contract.ts';
import { inOrder } from '../redis/decode.ts';
import type { Parts } from './shared-settle.ts';
import { heldId, sharedPart } from './shared-take.ts';
import { candidateAlone, limitIds, splitPlan } from './split-plan.ts';

/** Charges what was allowed while the store was away: first at the account of its first candidate, then the rest. */
export async function oweShared({ account, own }: Parts, owed: Owed): Promise<OweResult> {
  const [first] = splitPlan(owed.plan);
  if (first?.account === undefined) return own.owe(owed);
  const id = heldId(owed.decisionId, 0);
  const { lost: _, requestId: __, ...asked } = { ...owed, decisionId: id, plan: candidateAlone(first.shared, 0) };
  const partition = account(first.account);
  const held = await partition.owe(asked, 'owe_hold');
  if (held.kind === 'conflict' || held.kind === 'executed') return held;
  const order = limitIds(owed.plan, 0);
  const shared = sharedPart(
    { account: first.account, id, limits: held.outcome.limits, event: await partition.heldEvent(id) },
    order,
  );
  const result = await own.owe({ ...owed, plan: candidateAlone(first.own, 0), shared });
  if (result.kind !== 'taken') return result;
  const limits = inOrder([...held.outcome.limits, ...result.outcome.limits], order);
  return { ...result, outcome: { ...result.outcome, limits } };
}
