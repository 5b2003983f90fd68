import type { Limit } from '../../../schemas/policy-io.ts';
import { counterField, type PartitionKeys } from '../keys.ts';
import { addedTo, FIELDS, HEAD, type TakeReply } from './decode.ts';
import { encodeAbout, opened } from './encode.ts';
import type { Request } from './encode-decision.ts';
import type { AddedCounter } from './running.ts';

/**
 * What a take can be given back by where the script keeps no record of it: the record that it would have kept, made of what
 * was asked and what was replied. Of what is held the script gives its record itself.
 */
export function receiptOf(reply: TakeReply, { decisionId, event, plan }: Request, keys: PartitionKeys): string {
  const { texts, words } = reply;
  if (texts[0]) return texts[0];
  const chosen = words[0] === 'added' ? undefined : plan.candidates[Number(words[2]) - 1];
  return JSON.stringify({
    v: 1,
    state: 'consumed',
    about: JSON.parse(encodeAbout(decisionId, event)),
    ...(chosen && { candidate: { model: chosen.model, json: JSON.stringify(chosen.model) } }),
    limits: [...plan.limits, ...(chosen?.limits ?? [])].map((limit, index) => ({
      key: keys.subject(event.tenant_id, limit),
      ...chargeOf(limit),
      ...(words[0] === 'added' ? runningAt(reply, index, limit) : chargedAt(words, index, limit)),
    })),
    ...(texts[1] && { closed: texts[1] }),
    request_key: '',
    fingerprint: '',
    decided_at: words[1],
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

function chargedAt(words: readonly string[], index: number, { kind }: Limit) {
  const from = HEAD + index * FIELDS;
  const [, before, counter = '', capacity, reset_at, retry, crossed = ''] = words.slice(from, from + FIELDS);
  const [used, ...kept] = counter.split(':');
  return {
    before,
    used,
    capacity,
    reset_at,
    retry,
    crossed: crossed === '-' ? [] : crossed.split(','),
    ...sinceOf(kind, kept),
  };
}

/** The same of a counter that is known but for what was in use. */
function runningAt({ counters = [], words }: TakeReply, index: number, { kind }: Limit) {
  const counter = counters[index] as AddedCounter;
  const { before, capacity, reset_at, used } = addedTo(counter, words, Number(words[1]));
  return {
    before: String(before),
    used: String(used),
    capacity: String(capacity),
    reset_at: String(reset_at),
    retry: '0',
    crossed: [],
    ...sinceOf(kind, counter.tail.split(':').slice(1)),
  };
}

/** Of a counter as it is kept, behind what is in use: see `lua/includes/counters.lua`. */
function sinceOf(kind: Limit['kind'], [first = '0', , since = '0', refilled = '0']: string[]) {
  if (kind === 'token_bucket') return { since, refilled };
  return { since: kind === 'window' ? first : '0', refilled: '0' };
}
