import type { Limit, Plan } from '../../../schemas/policy-io.ts';
import type { Owed } from '../contract.ts';
import type { PartitionKeys } from '../keys.ts';
import { FIELDS, HEAD, type TakeReply } from './decode.ts';
import { type EncodedPlan, encodeEvent, encodePlan, kept } from './encode.ts';
import { type EncodedDecision, encodeAsk, type Request, runKeyOf } from './encode-decision.ts';
import { canRun, encodeAdds, type RunningCounter, type RunningCounters } from './running.ts';

/** What a plan adds to counters that run, until when that holds. */
interface Added {
  common: string;
  own: string;
  counters: RunningCounter[];
  from: number;
  until: number;
}

const added = new WeakMap<EncodedPlan, Added>();

/**
 * The same without its plan, where all that it draws on is in a period that runs: then the script has only sums to reckon, in a third of
 * the time. Undefined where that is not known, or something else is to be done. `now` is the store's time.
 */
export function encodeWithoutPlan(
  request: Request,
  keys: PartitionKeys,
  now: number,
  running: RunningCounters,
): EncodedDecision | undefined {
  const { event, plan } = request;
  if (!isPlain(request, keys)) return undefined;
  const encoded = encodePlan(plan, event.tenant_id, keys, now);
  const known = added.get(encoded);
  const current = known && known.from <= now && now < known.until ? known : addedOf(request, encoded, now, running);
  if (!current) return undefined;
  if (current !== known) added.set(encoded, current);
  const { ask, keys: asked } = encodeAsk(request, keys, encoded.keys.length);
  const about = encodeEvent(request.decisionId, event);
  return {
    keys: [...encoded.keys, keys.record(request.decisionId), ...asked],
    plan: current.common,
    args: [current.own, about, ask],
    size: current.common.length + current.own.length + about.length + ask.length,
    counters: current.counters,
  };
}

/**
 * What a reply to a decision with its plan tells of its counters. Not of those that have no room for another like it: it would be refused,
 * or flagged, and that takes the plan.
 */
export function learnCounters(
  request: Request,
  { words }: TakeReply,
  keys: PartitionKeys,
  running: RunningCounters,
): void {
  if (words[0] !== 'taken') return;
  const { event, plan } = request;
  const counters = plan.limits.map((_, index) => words[HEAD + FIELDS * index + 2] as string);
  const hasRoom = (limit: Limit, index: number) =>
    Number.parseInt(counters[index] as string, 10) + limit.cost <= Number(words[HEAD + FIELDS * index + 3]);
  if (!plan.limits.every(hasRoom)) return;
  plan.limits.forEach((limit, index) => {
    const counter = counters[index] as string;
    running.learn(keys.subject(event.tenant_id, limit), limit, counter.slice(counter.indexOf(':')));
  });
}

/** What was not as it was known is asked of the store again, plan and all. */
export function forgetCounters(request: Request, keys: PartitionKeys, now: number, running: RunningCounters): void {
  const encoded = encodePlan(request.plan, request.event.tenant_id, keys, now);
  added.delete(encoded);
  for (const key of encoded.keys) running.forget(key);
}

function addedOf(
  { plan: { limits } }: Request,
  encoded: EncodedPlan,
  now: number,
  running: RunningCounters,
): Added | undefined {
  const counters: RunningCounter[] = [];
  for (const [index, limit] of limits.entries()) {
    const counter = running.of(encoded.keys[(encoded.owners[index] as number) - 1] as string, limit, now);
    if (!counter) return undefined;
    counters.push(counter);
  }
  const { common, own } = encodeAdds(limits, encoded.owners, counters, now);
  const from = Math.max(...counters.map((counter) => counter.from));
  const until = Math.min(...counters.map((counter) => counter.until));
  return { common: kept(common), own, counters, from, until };
}

/** Nothing to choose, to remember or to settle: all it comes to is its event and what its limits count. */
const plain = new WeakMap<Plan, boolean>();

export function isPlain(request: Request, keys: PartitionKeys): boolean {
  const { failed, plan, refused, requestId, shared, whys } = request;
  const { decidedAt } = request as Partial<Owed>;
  if ((requestId ?? shared ?? refused ?? failed ?? whys ?? decidedAt ?? runKeyOf(request, keys)) !== undefined)
    return false;
  const known = plain.get(plan);
  if (known !== undefined) return known;
  const is = plan.limits.length > 0 && plan.candidates.length === 0 && plan.limits.every(canRun);
  plain.set(plan, is);
  return is;
}
