import type { Owed, TakeRequest } from '../contract.ts';
import { encodeEvent } from '../event-text.ts';
import type { PartitionKeys } from '../keys.ts';
import { encodePlan } from './encode.ts';
import type { AddedCounter } from './running.ts';

/** On a cluster: the part of a decision that its tenant's partition has, while another has what is shared. */
export interface OwnPart {
  /** What was held at the account: JSON for the event and for the record. */
  shared?: { limits?: string; record: string };
  /** Say how it stands, take nothing: another partition has refused its part. */
  refused?: true;
  /** How models failed in this run, where another partition knows. */
  failed?: Readonly<Record<string, string>>;
  /** Why candidates were passed over that another part of the decision has looked at. */
  whys?: readonly string[];
}

/** What is asked of `lua/take-3.lua`. */
export type Request = (TakeRequest | Owed) & OwnPart;

/** One decision as the script is given it. */
export interface EncodedDecision {
  keys: string[];
  /** What its plan has in common with others that are asked alike: sent once for all of a call. */
  plan: string;
  /** What else is the decision's own. */
  args: [own: string, event: string, ask: string];
  /** Characters of all of it but its keys. */
  size: number;
  /** Of a decision that is sent without its plan, what its caller knows of its counters. */
  counters?: AddedCounter[] | undefined;
}

/** `now` is where in the calendar the store is thought to be. */
export function encodeDecision(request: Request, keys: PartitionKeys, now: number): EncodedDecision {
  const { keys: named, own, said, text } = encodePlan(request.plan, request.event.tenant_id, keys, now);
  const about = encodeEvent(request.decisionId, request.event, said);
  const { ask, keys: asked } = encodeAsk(request, keys, { named: named.length + 1, model: said.model });
  return {
    keys: [...named, keys.record(request.decisionId), ...asked],
    plan: text,
    args: [own, about, ask],
    size: text.length + own.length + about.length + ask.length,
  };
}

const NO_KEYS: string[] = [];

/** What is asked beside the plan, and the keys for it. `named`: how many keys the plan names, and the record’s; `model`: as the event's member. */
export function encodeAsk(
  request: Request,
  keys: PartitionKeys,
  { model, named }: { model: string; named: number },
): { ask: string; keys: string[] } {
  const { event, failed, fingerprint, plan, refused, requestId, shared, whys } = request;
  const { keyGate, quiet } = request as Partial<TakeRequest>;
  const { decidedAt, lost } = request as Partial<Owed>;
  const run = runKeyOf(request, keys);
  const more = requestId ?? keyGate ?? quiet ?? decidedAt ?? shared ?? refused ?? lost ?? run ?? failed ?? whys;
  if (more === undefined && fingerprint === '') return { ask: `${named}${model}`, keys: NO_KEYS };
  const tenantId = event.tenant_id;
  return {
    ask: JSON.stringify({
      keys: named,
      model,
      fingerprint,
      ...(requestId !== undefined && { idempotent: true }),
      ...(keyGate !== undefined && { gated: true }),
      ...(quiet && { quiet }),
      ...(decidedAt !== undefined && { decided_at: String(decidedAt) }),
      ...(shared && { shared }),
      ...(refused && { refused }),
      ...(lost && { lost: { call: lost.call, index: lost.index } }),
      ...(run !== undefined && { attempts: plan.max_attempts }),
      ...(failed && { failed }),
      ...(whys && { whys }),
    }),
    keys: [
      ...(requestId === undefined ? [] : [keys.request(tenantId, requestId)]),
      ...(keyGate === undefined ? [] : [keys.gate({ tenantId, scope: 'tenant', name: keyGate })]),
      ...(lost ? [lost.key] : []),
      ...(run === undefined ? [] : [run]),
    ],
  };
}

/** Where the attempts of the request's run are counted, if its plan bounds them. */
export const runKeyOf = ({ event, plan }: Pick<Request, 'event' | 'plan'>, keys: PartitionKeys): string | undefined =>
  plan.max_attempts === undefined || event.run_id === undefined ? undefined : keys.run(event.tenant_id, event.run_id);
