import type { Decision, Limit, LimitOutcome, Outcome, Plan } from '../../schemas/policy-io.ts';
import { fillPlaceholders } from './message.ts';

/** What a policy is told where nothing can be counted and the operator prefers to allow: the first candidate, and room. */
export function asIfThereWereRoom({ candidates, limits }: Plan): Outcome {
  const [first] = candidates;
  return {
    granted: true,
    candidate: first?.model ?? null,
    closed: [],
    limits: [...limits, ...(first?.limits ?? [])].map(roomIn),
  };
}

/** The bands alone. There are no numbers, and a plan that asks for them must not be given invented ones. */
const roomIn = ({ id, on_exceed }: Limit) =>
  ({
    id,
    granted: true,
    over: false,
    crossed: [],
    on_exceed,
  }) satisfies Partial<LimitOutcome> as unknown as LimitOutcome;

/** The numbers that its texts ask for are not known. */
export const withoutNumbers = (decision: Decision): Decision =>
  fillPlaceholders(decision, { text: () => 'unknown', warning: () => 'unknown' });
