import type { UsageEvent } from '../../schemas/usage-event.ts';
import type { Change, SettleRequest, SettleResult } from '../../sidecar/counters/contract.ts';
import { announced, forgettableFrom, type ModelGiven, moved, usedOf } from './counter-model.ts';
import { aboutOf, eventLimit, GRANTED, modelEvent } from './event-model.ts';
import { changeOf, type Grant, type Step } from './grant-model.ts';
import { counterKey, type MemoryModel } from './memory-model.ts';
import { DAY_MS } from './take-model.ts';

/** What a settle or a void must answer, and what it leaves behind. A receipt stands for a record that was not kept. */
export function decideSettle(memory: MemoryModel, request: SettleRequest, now: number): Step<SettleResult> {
  const { decisionId, fingerprint, kind, model, receipt, tenantId, usage } = request;
  const grant = memory.record(decisionId, now) ?? (receipt === undefined ? undefined : memory.grant(decisionId));
  if (!grant || (tenantId !== undefined && tenantId !== grant.event.tenant_id)) return { answer: { kind: 'unknown' } };
  if (grant.report) return { answer: again(grant, grant.report, fingerprint) };
  const done = kind === 'void' ? 'voided' : 'settled';
  const moves = grant.given.flatMap((given) => move(memory, given, grant, changeOf(given, grant, request), now));
  const changes = moves.map(({ change }) => change);
  const more = { ...(model !== undefined && { model }), ...(usage && { usage }) };
  const keptUntil = grant.keptUntil ?? now + DAY_MS;
  const report = { fingerprint, at: now, changes };
  const step: Step<SettleResult> = {
    answer: { kind: done, replayed: false, at: now, changes, decided: decidedOf(grant) },
    counters: moves.flatMap(({ write }) => write),
    grant: { ...grant, state: done, report, openUntil: undefined, keptUntil },
    event: modelEvent(done, aboutOf(grant), { ...movesOf(grant, moves, now), ...more }),
  };
  const { requestKey } = grant;
  const isItsOwn = requestKey !== undefined && memory.grantedFor(requestKey) === decisionId;
  return kind === 'void' && isItsOwn ? { ...step, request: [requestKey, undefined] } : step;
}

const decidedOf = ({ at, event, outcome }: Grant) => ({ at, model: outcome.candidate ?? event.model });

function again(grant: Grant, report: NonNullable<Grant['report']>, asked: string): SettleResult {
  const kind = grant.state as 'settled' | 'voided';
  if (report.fingerprint !== asked) return { kind: 'conflict', state: kind };
  return { kind, replayed: true, at: report.at, changes: report.changes, decided: decidedOf(grant) };
}

/** The estimate stands, and what was in flight is no longer counted. */
export function decideExpiry(memory: MemoryModel, grant: Grant, now: number): Step<undefined> {
  const flying = grant.given.filter(({ limit }) => limit.kind === 'concurrency');
  const moves = flying.flatMap((given) => move(memory, given, grant, -given.amount, now));
  return {
    answer: undefined,
    counters: moves.flatMap(({ write }) => write),
    grant: { ...grant, state: 'expired', openUntil: undefined },
    event: modelEvent('expired', aboutOf(grant), movesOf(grant, moves, now)),
  };
}

interface Move {
  change: Change;
  write: NonNullable<Step<unknown>['counters']>;
  limit: UsageEvent['limits'][number];
}

/** What a change does to its counter, and what is told of it; nothing if the report does not touch it. */
function move(
  memory: MemoryModel,
  given: ModelGiven,
  { event }: Grant,
  amount: bigint | undefined,
  now: number,
): Move[] {
  if (amount === undefined) return [];
  const { capacity, limit } = given;
  const key = counterKey(event.tenant_id, limit);
  const { after: there, before } = moved(memory.counter(key), given, amount, now);
  const isMoved = there !== undefined && there !== before;
  const told = isMoved && amount > 0n ? announced(there, limit.thresholds, capacity) : { after: there, crossed: [] };
  const { after, crossed } = told;
  const write: Move['write'] = [];
  if (after && before && (usedOf(after) !== usedOf(before) || crossed.length)) {
    write.push([key, after, limit.kind === 'token_bucket' ? forgettableFrom(after, limit, now) : undefined]);
  }
  const { id, unit } = limit;
  const change = { id, unit, amount: Number(amount), ...(crossed.length && { crossed }) };
  return [{ change, write, limit: eventLimit(given, amount, { before, after }, now) }];
}

const movesOf = ({ at }: Grant, moves: Move[], now: number) => ({
  limits: moves.map(({ limit }) => limit),
  outcome: GRANTED,
  decided_at: at,
  at: now,
});
