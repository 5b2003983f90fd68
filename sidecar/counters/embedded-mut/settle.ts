import type { UsageEvent } from '../../../schemas/usage-event.ts';
import { CountersUnavailable, RECORD_TTL_MS, type SettleRequest, type SettleResult } from '../contract.ts';
import { type BucketState, charge, giveBack, refill, refillTime } from '../token-bucket.ts';
import type { Decided, Effect } from './effect.ts';
import type { Changes, KeptCharge, KeptRecord, State } from './state.ts';
import { liveRecord } from './take.ts';
import { usageEvent } from './usage-event.ts';

interface Move {
  charge: KeptCharge;
  amount: number;
  before: BucketState;
  after: BucketState;
}

/** Moves a decision's charges to what was really used, or gives all of it back; once. */
export function decideSettle(state: State, request: SettleRequest, now: number): Decided<SettleResult> {
  const record = liveRecord(state, request.decisionId, now) ?? fromReceipt(request, now);
  if (!record || (request.tenantId !== undefined && record.event.tenant_id !== request.tenantId)) {
    return { answer: { kind: 'unknown' } };
  }
  if (record.report) return { answer: again(record, record.report, request) };
  const kind = request.kind === 'void' ? 'voided' : 'settled';
  const moves = record.charges.flatMap((given) => moveOf(state, given, request, now));
  const changes: Changes = moves.map(({ amount, charge: { id, unit } }) => ({ id, unit, amount }));
  const report = { fingerprint: request.fingerprint, at: now, changes };
  const effect: Effect = {
    counters: moves.filter(({ after, before }) => after.used !== before.used).map((move) => movedCounter(move, now)),
    record: { ...record, state: kind, report },
    event: [state.lastEntry + 1, settledEvent(kind, record, request, moves, now)],
  };
  const { decisionId, requestKey } = record;
  if (kind === 'voided' && requestKey !== null && state.requests.get(requestKey) === decisionId) {
    effect.request = [requestKey, null];
  }
  return { answer: { kind, replayed: false, at: now, changes }, effect };
}

/** Where no record was kept, the process that took hands back what it was given; from then on one is kept. */
function fromReceipt({ receipt }: SettleRequest, now: number): KeptRecord | undefined {
  return receipt ? { ...(JSON.parse(receipt) as KeptRecord), expiresAt: now + RECORD_TTL_MS } : undefined;
}

function again(
  { state }: KeptRecord,
  report: NonNullable<KeptRecord['report']>,
  { fingerprint }: SettleRequest,
): SettleResult {
  const kind = state as 'settled' | 'voided';
  if (report.fingerprint !== fingerprint) return { kind: 'conflict', state: kind };
  return { kind, replayed: true, at: report.at, changes: report.changes };
}

/** What the report does to one charge; nothing if it does not touch it. */
function moveOf(state: State, given: KeptCharge, request: SettleRequest, now: number): Move[] {
  const actual = request.kind === 'void' ? 0 : request.actual[given.unit];
  if (actual === undefined || (request.kind === 'settle' && !given.settles)) return [];
  if (!Number.isSafeInteger(actual) || actual < 0) {
    throw new CountersUnavailable(`the amount of ${given.unit} is not a whole number`);
  }
  const amount = actual - given.amount;
  const before = refill(state.counters.get(given.key)?.bucket, given.refill, now);
  const after = amount < 0 ? giveBack(before, given, -amount, now) : charge(before, amount);
  return [{ charge: given, amount, before, after }];
}

function movedCounter({ after, charge: { key, refill: rule } }: Move, now: number) {
  const counter = { bucket: after, emptyAt: now + refillTime(after, rule, now, after.used) };
  return [key, after.used === 0 ? null : counter] satisfies NonNullable<Effect['counters']>[number];
}

function settledEvent(
  kind: 'settled' | 'voided',
  record: KeptRecord,
  { model, usage }: SettleRequest,
  moves: Move[],
  now: number,
): UsageEvent {
  const { candidate } = record.outcome;
  return usageEvent(kind, {
    ...record.event,
    ...(model !== undefined && { model }),
    ...(candidate !== null && { candidate }),
    ...(usage && { usage }),
    decision_id: record.decisionId,
    limits: moves.map(({ after, amount, before, charge: { billed, id, kind: limitKind, unit } }) => ({
      id,
      kind: limitKind,
      unit,
      ...(billed && { billed }),
      amount,
      before: before.used,
      after: after.used,
      period_start: after.at,
    })),
    outcome: { granted: true, reason: 'ok' },
    decided_at: record.decidedAt,
    at: now,
  });
}
