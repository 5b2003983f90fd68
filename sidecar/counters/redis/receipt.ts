import type { PartitionKeys } from '../keys.ts';
import { FIELDS, HEAD, type TakeReply } from './decode.ts';
import { encodeDecision, type Request } from './encode-decision.ts';

type Encoded = Record<string, unknown> & { key: number };

/**
 * What a take can be given back by where the script keeps no record of it: the record that it would have kept, made of what
 * was asked and what was replied. Of what is held the script gives its record itself.
 */
export function receiptOf(reply: TakeReply, request: Request, keys: PartitionKeys): string {
  if (reply[3] !== '') return String(reply[3]);
  const at = Number(reply[1]);
  const encoded = encodeDecision(request, keys, at);
  const [plan = '', about = ''] = encoded.args;
  const { candidates, limits } = JSON.parse(plan) as { limits: Encoded[]; candidates: { limits: Encoded[] }[] };
  const chosen = candidates[Number(reply[2]) - 1];
  return JSON.stringify({
    v: 1,
    state: 'consumed',
    about: JSON.parse(about),
    ...(chosen && { candidate: chosen }),
    limits: [...limits, ...(chosen?.limits ?? [])].map((limit, index) => ({
      ...inDigits(limit),
      ...chargedAt(reply, index),
      key: encoded.keys[limit.key - 1],
    })),
    request_key: '',
    fingerprint: '',
    decided_at: String(at),
  });
}

/** The script takes amounts as digits only. */
const inDigits = (limit: Encoded) =>
  Object.fromEntries(
    Object.entries(limit).map(([name, value]) => [name, typeof value === 'number' ? String(value) : value]),
  );

function chargedAt(reply: TakeReply, index: number) {
  const [, before, used, capacity, , , , since, refilled] = reply
    .slice(HEAD + index * FIELDS, HEAD + (index + 1) * FIELDS)
    .map(String);
  return { before, used, capacity, since, refilled };
}
