import type { Owed, TakeRequest } from '../contract.ts';
import type { PartitionKeys } from '../keys.ts';
import { encodeAbout, encodePlan } from './encode.ts';

/** On a cluster: the part of a decision that its tenant's partition has, while another has what is shared. */
export interface OwnPart {
  /** What was held at the account: JSON for the event and for the record. */
  shared?: { limits?: string; record: string };
  /** Say how it stands, take nothing: another partition has refused its part. */
  refused?: true;
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
  const { decisionId, event, fingerprint, plan, refused, requestId, shared } = request;
  const { keyGate, quiet } = request as Partial<TakeRequest>;
  const { decidedAt, lost } = request as Partial<Owed>;
  const tenantId = event.tenant_id;
  const encoded = encodePlan(plan, tenantId, keys, now);
  const ask = {
    keys: encoded.keys.length,
    fingerprint,
    ...(requestId !== undefined && { idempotent: true }),
    ...(keyGate !== undefined && { gated: true }),
    ...(quiet && { quiet }),
    ...(decidedAt !== undefined && { decided_at: String(decidedAt) }),
    ...(shared && { shared }),
    ...(refused && { refused }),
    ...(lost && { lost: { call: lost.call, index: lost.index } }),
  };
  const args = [encoded.text, encodeAbout(decisionId, event), JSON.stringify(ask)];
  return {
    keys: [
      ...encoded.keys,
      keys.record(decisionId),
      ...(requestId === undefined ? [] : [keys.request(tenantId, requestId)]),
      ...(keyGate === undefined ? [] : [keys.gate({ tenantId, scope: 'tenant', name: keyGate })]),
      ...(lost ? [lost.key] : []),
    ],
    args,
    size: args.reduce((sum, { length }) => sum + length, 0),
  };
}
