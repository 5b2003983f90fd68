import type { ClosedGate, Outcome, Plan } from '../../../schemas/policy-io.ts';
import { whysOf } from '../passed-over.ts';
import { inOrder } from '../redis/decode.ts';
import type { OwnPart } from '../redis/encode-decision.ts';
import type { Parts } from './shared-settle.ts';
import { candidateAlone, type Group, limitIds, splitPlan } from './split-plan.ts';

interface Seen {
  outcome: Outcome;
  at: number;
}

/** What a take would come to, asked of every candidate by itself: the account's part and the tenant's together. */
export async function peekShared(parts: Parts, plan: Plan, tenantId: string): Promise<Seen> {
  const groups = splitPlan(plan);
  const closed: ClosedGate[] = [];
  for (const group of groups) {
    for (let index = 0; index < Math.max(1, group.own.candidates.length); index++) {
      const seen = await peekOne(parts, group, index, { plan, tenantId, whys: whysOf(closed) });
      closed.push(...seen.outcome.closed);
      if (seen.outcome.granted) return { ...seen, outcome: { ...seen.outcome, closed } };
    }
  }
  const [first] = groups as [Group];
  const { at, outcome } = await peekOne(parts, first, 0, { plan, tenantId, refused: true });
  return { at, outcome: { ...outcome, closed } };
}

interface Wanted extends Pick<OwnPart, 'refused' | 'whys'> {
  plan: Plan;
  tenantId: string;
}

async function peekOne({ account, own }: Parts, group: Group, index: number, wanted: Wanted): Promise<Seen> {
  const { plan, tenantId, ...known } = wanted;
  const [mine, shared] = await Promise.all([
    own.peek(candidateAlone(group.own, index), tenantId, known),
    group.account === undefined
      ? undefined
      : account(group.account).peek(candidateAlone(group.shared, index), tenantId, known),
  ]);
  if (!shared) return mine;
  const granted = mine.outcome.granted && shared.outcome.granted;
  return {
    at: mine.at,
    outcome: {
      granted,
      candidate: granted ? mine.outcome.candidate : null,
      // As a take has it, which asks the tenant's part only where the account's has room.
      closed: shared.outcome.granted ? mine.outcome.closed : shared.outcome.closed,
      limits: inOrder([...shared.outcome.limits, ...mine.outcome.limits], limitIds(plan, group.first + index)),
    },
  };
}
