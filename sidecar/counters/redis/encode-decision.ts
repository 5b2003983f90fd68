import type { Owed, TakeRequest } from '../contract.ts';
import type { PartitionKeys } from '../keys.ts';
import { encodeEvent, encodePlan, modelMember } from './encode.ts';

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
  args: string[];
  /** Characters of its arguments. */
  size: number;
}

/** `now` is where in the calendar the store is thought to be. */
export function encodeDecision(request: Request, keys: PartitionKeys, now: number): EncodedDecision {
  const { decisionId, event, failed, fingerprint, plan, refused, requestId, shared, whys } = request;
  const { keyGate, quiet } = request as Partial<TakeRequest>;
  const { decidedAt, lost } = request as Partial<Owed>;
  const tenantId = event.tenant_id;
  const run = runKeyOf(request, keys);
  const encoded = encodePlan(plan, tenantId, keys, now);
  const more = {
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
  };
  const named = encoded.keys.length;
  const model = modelMember(event);
  const isPlain = fingerprint === '' && Object.keys(more).length === 0;
  const ask = isPlain ? `${named}${model}` : JSON.stringify({ keys: named, model, fingerprint, ...more });
  const args = [encoded.text, encoded.own, encodeEvent(decisionId, event), ask];
  return {
    keys: [
      ...encoded.keys,
      keys.record(decisionId),
      ...(requestId === undefined ? [] : [keys.request(tenantId, requestId)]),
      ...(keyGate === undefined ? [] : [keys.gate({ tenantId, scope: 'tenant', name: keyGate })]),
      ...(lost ? [lost.key] : []),
      ...(run === undefined ? [] : [run]),
    ],
    args,
    size: args.reduce((sum, { length }) => sum + length, 0),
  };
}

/** Where the attempts of the request's run are counted, if its plan bounds them. */
export const runKeyOf = ({ event, plan }: Pick<Request, 'event' | 'plan'>, keys: PartitionKeys): string | undefined =>
  plan.max_attempts === undefined || event.run_id === undefined ? undefined : keys.run(event.tenant_id, event.run_id);
