import type { Limit } from '../../../schemas/policy-io.ts';
import { counterField, type PartitionKeys } from '../keys.ts';
import { FIELDS, HEAD, type TakeReply } from './decode.ts';
import { encodeAbout, opened } from './encode.ts';
import type { Request } from './encode-decision.ts';

/**
 * What a take can be given back by where the script keeps no record of it: the record that it would have kept, made of what
 * was asked and what was replied. Of what is held the script gives its record itself.
 */
export function receiptOf(reply: TakeReply, { decisionId, event, plan }: Request, keys: PartitionKeys): string {
  if (reply[3] !== '') return String(reply[3]);
  const chosen = plan.candidates[Number(reply[2]) - 1];
  return JSON.stringify({
    v: 1,
    state: 'consumed',
    about: JSON.parse(encodeAbout(decisionId, event)),
    ...(chosen && { candidate: { model: chosen.model, json: JSON.stringify(chosen.model) } }),
    limits: [...plan.limits, ...(chosen?.limits ?? [])].map((limit, index) => ({
      key: keys.subject(event.tenant_id, limit),
      ...chargeOf(limit),
      ...chargedAt(reply, index),
    })),
    ...(reply[4] !== '' && { closed: reply[4] }),
    request_key: '',
    fingerprint: '',
    decided_at: String(reply[1]),
  });
}

/** Amounts in digits: the scripts take nothing else. */
function chargeOf(limit: Limit) {
  const { billed, cost, counts, id, kind, on_exceed, settles, thresholds, unit } = limit;
  return {
    id,
    kind: kind[0],
    field: counterField(limit),
    event: opened({ id, kind, unit, ...(billed && { billed }) }),
    unit,
    thresholds,
    settles,
    on_exceed,
    ...(counts && { counts }),
    cost: String(cost),
    ...(limit.kind === 'token_bucket' && {
      amount: String(limit.refill.amount),
      period: String(limit.refill.per_seconds * 1000),
      interval: limit.refill.mode === 'interval',
    }),
  };
}

function chargedAt(reply: TakeReply, index: number) {
  const from = HEAD + index * FIELDS;
  const [, before, used, capacity, reset_at, retry, crossed = '', since, refilled] = reply
    .slice(from, from + FIELDS)
    .map(String);
  return { before, used, capacity, reset_at, retry, crossed: crossed.split(',').filter(Boolean), since, refilled };
}
