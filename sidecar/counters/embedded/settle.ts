import {
  type Change,
  CountersUnavailable,
  RECORD_TTL_MS,
  RUN_TTL_MS,
  type SettleRequest,
  type SettleResult,
} from '../contract.ts';
import { type CounterState, moved, movedUntil, periodStart } from '../counter.ts';
import type { Decided, Effect } from './effect.ts';
import type { Changes, KeptCharge, KeptRecord, State, StreamEvent } from './state.ts';
import { liveRecord, runOf } from './take.ts';
import { usageEvent } from './usage-event.ts';

export interface Move {
  charge: KeptCharge;
  amount: number;
  before: CounterState;
  after: CounterState;
  crossed: number[];
}

/** Moves a decision's charges to what was really used, or gives all of it back; once. */
export function decideSettle(state: State, request: SettleRequest, now: number): Decided<SettleResult> {
  const record = liveRecord(state, request.decisionId, now) ?? fromReceipt(request, now);
  if (!record || (request.tenantId !== undefined && record.event.tenant_id !== request.tenantId)) {
    return { answer: { kind: 'unknown' } };
  }
  if (record.report) return { answer: again(record, record.report, request) };
  const kind = request.kind === 'void' ? 'voided' : 'settled';
  const moves = record.charges.flatMap((given) => moveOf(state, given, request, record.state === 'expired', now));
  const changes: Changes = moves.map(changeOfMove);
  const report = { fingerprint: request.fingerprint, at: now, changes };
  const effect: Effect = {
    counters: moves
      .filter(({ after, before, crossed }) => after.used !== before.used || crossed.length)
      .map((move) => movedCounter(state, move, now)),
    record: { ...record, state: kind, report },
    event: [state.lastEntry + 1, settledEvent(kind, record, request, moves, now)],
  };
  const { decisionId, requestKey } = record;
  if (kind === 'voided' && requestKey !== null && state.requests.get(requestKey) === decisionId) {
    effect.request = [requestKey, null];
  }
  const run = failedRun(state, record, request, now);
  if (run) effect.run = run;
  return { answer: { kind, replayed: false, at: now, changes, decided: decidedOf(record) }, effect };
}

const decidedOf = ({ decidedAt, event, outcome }: KeptRecord) => ({
  at: decidedAt,
  model: outcome.candidate ?? event.model,
});

/** What the record's run knows from now on of the model that failed. */
function failedRun(
  state: State,
  { outcome: { candidate }, runKey }: KeptRecord,
  { failure }: SettleRequest,
  now: number,
): Effect['run'] {
  if (runKey === undefined || candidate === null || failure === undefined) return undefined;
  const run = runOf(state, runKey, now);
  const others = run.failed.filter(([model]) => model !== candidate);
  return [runKey, { ...run, failed: [...others, [candidate, failure]], expiresAt: now + RUN_TTL_MS }];
}

/** Where no record was kept, the process that took hands back what it was given; from then on one is kept. */
function fromReceipt({ receipt }: SettleRequest, now: number): KeptRecord | undefined {
  return receipt ? { ...(JSON.parse(receipt()) as KeptRecord), expiresAt: now + RECORD_TTL_MS } : undefined;
}

function again(
  record: KeptRecord,
  report: NonNullable<KeptRecord['report']>,
  { fingerprint }: SettleRequest,
): SettleResult {
  const kind = record.state as 'settled' | 'voided';
  if (report.fingerprint !== fingerprint) return { kind: 'conflict', state: kind };
  return { kind, replayed: true, at: report.at, changes: report.changes, decided: decidedOf(record) };
}

/** What the report does to one charge; nothing if it does not touch it, or if what was in flight has expired. */
function moveOf(state: State, given: KeptCharge, request: SettleRequest, landed: boolean, now: number): Move[] {
  const amount = given.kind === 'concurrency' && landed ? undefined : changeOf(given, request);
  if (amount === undefined) return [];
  return [{ charge: given, amount, ...moved(state.counters.get(given.key)?.state, given, amount, now) }];
}

/** What was in flight has landed, however the call ended. */
function changeOf(given: KeptCharge, { actual, kind }: SettleRequest): number | undefined {
  if (kind === 'void' || given.kind === 'concurrency') return -given.amount;
  const used = given.unit === 'concurrent' ? undefined : actual[given.counts ?? given.unit];
  if (!given.settles || used === undefined) return undefined;
  if (Number.isSafeInteger(used) && used >= 0) return used - given.amount;
  throw new CountersUnavailable(`the amount of ${given.unit} is not a whole number`);
}

/** A counter that has nothing in use is forgotten, unless what it leaves to its next period is owed. */
export function movedCounter(
  state: State,
  { after, charge: given }: Move,
  now: number,
): NonNullable<Effect['counters']>[number] {
  const known = state.counters.get(given.key)?.emptyAt ?? 0;
  const emptyAt = Math.max(known, movedUntil(after, given, now));
  return [given.key, after.used === 0 && given.kind === 'token_bucket' ? null : { state: after, emptyAt }];
}

function settledEvent(
  kind: 'settled' | 'voided',
  record: KeptRecord,
  { model, usage }: SettleRequest,
  moves: Move[],
  now: number,
): StreamEvent {
  const { candidate } = record.outcome;
  return usageEvent(kind, {
    ...record.event,
    ...(model !== undefined && { model }),
    ...(candidate !== null && { candidate }),
    ...(usage && { usage }),
    decision_id: record.decisionId,
    limits: moves.map(movedLimit),
    outcome: { granted: true, reason: 'ok' },
    decided_at: record.decidedAt,
    at: now,
  });
}

/** A move as the caller is told of it. */
const changeOfMove = ({ amount, charge: { id, unit }, crossed }: Move): Change => ({
  id,
  unit,
  amount,
  ...(crossed.length && { crossed }),
});

/** A move as the usage event has it. */
export const movedLimit = ({ after, amount, before, charge: { billed, id, kind, unit } }: Move) => ({
  id,
  kind,
  unit,
  ...(billed && { billed }),
  amount,
  before: before.used,
  after: after.used,
  period_start: periodStart(after),
});
