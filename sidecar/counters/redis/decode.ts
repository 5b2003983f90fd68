import type { ClosedGate, Limit, LimitOutcome, Outcome, Plan } from '../../../schemas/policy-io.ts';
import { CountersUnavailable, type DecisionRecord, type Receipt, RecordsFull, type TakeResult } from '../contract.ts';
import { limitOutcome } from '../outcome.ts';

/** What a script replies for one decision: see the header of `lua/take-3.lua`. */
export type TakeReply = [status: string, ...rest: (string | number)[]];

/** The store's time when it answered; undefined for an answer that does not say it. */
export function timeOf([status, at]: TakeReply): number | undefined {
  return ['taken', 'refused', 'closed', 'full', 'late', 'stale_windows'].includes(status) ? Number(at) : undefined;
}

/**
 * Whether nothing was taken because the store was told of another time than its own: of other periods, or of a deadline
 * that was over by its clock.
 */
export const isMistimed = ([status]: TakeReply): boolean => status === 'late' || status === 'stale_windows';

/** Numbers of each limit in a reply, and what stands before the first. */
export const FIELDS = 9;
export const HEAD = 5;

/** Throws `CountersUnavailable` where nothing was decided; `maxRecords` is what the script was told, `receipt` that of a grant. */
export function decodeTake(reply: TakeReply, plan: Plan, maxRecords: number, receipt: Receipt): TakeResult {
  const [status, first] = reply;
  if (status === 'closed') return { kind: 'closed', at: Number(first) };
  if (status === 'full') throw new RecordsFull(maxRecords);
  if (status === 'conflict') return { kind: 'conflict' };
  if (status === 'error') throw new CountersUnavailable(`the take script refused its arguments: ${first}`);
  if (status === 'replayed') {
    const { decisionId, decidedAt, outcome, policyRevision } = decodeRecord(String(first));
    return { kind: 'replayed', at: decidedAt, decisionId, outcome, policyRevision };
  }
  if (status === 'late') throw new CountersUnavailable('the take came too late, and took nothing');
  if (status === 'stale_windows') throw new CountersUnavailable('the store’s clock is not where it was a moment ago');
  const at = Number(first);
  const outcome = decodeOutcome(reply, plan, status === 'taken');
  return status === 'taken' ? { kind: 'taken', at, outcome, receipt } : { kind: 'refused', at, outcome };
}

/** The place of the candidate that was taken, from 0 on; 0 where the plan names none. */
export const chosenOf = (reply: TakeReply): number => Math.max(0, (Number(reply[2]) || 0) - 1);

/** The numbers of a `taken` or `refused` reply, put beside the limits that they are of. */
function decodeOutcome(reply: TakeReply, plan: Plan, granted: boolean): Outcome {
  const chosen = Number(reply[2]);
  const candidate = granted && chosen > 0 ? plan.candidates[chosen - 1] : plan.candidates[0];
  const limits: Limit[] = [...plan.limits, ...(candidate?.limits ?? [])];
  return {
    granted,
    candidate: granted ? (candidate?.model ?? null) : null,
    closed: closedGates(String(reply[4])),
    limits: limits.map((limit, index) => limitAt(reply, HEAD + index * FIELDS, limit)),
  };
}

function limitAt(reply: TakeReply, first: number, { id, on_exceed }: Limit): LimitOutcome {
  const crossed = reply[first + 6];
  return limitOutcome(
    { id, on_exceed, capacity: Number(reply[first + 3]) },
    {
      granted: reply[first] === 1,
      before: Number(reply[first + 1]),
      used: Number(reply[first + 2]),
      resetAt: Number(reply[first + 4]),
      retryAfterMs: retryAfter(reply[first + 5]),
      crossed: crossed === '' ? [] : String(crossed).split(',').map(Number),
    },
  );
}

const closedGates = (json: string): ClosedGate[] => (json === '' ? [] : JSON.parse(json));

/** Where a decision's charges at a provider account are remembered, and what they came to. On a cluster. */
export interface SharedCharges {
  account: string;
  /** Of the record there. */
  id: string;
  limits: LimitOutcome[];
  /** Ids of all limits of the decision, in the order of its plan. */
  order: string[];
}

export interface StoredRecord {
  state: DecisionRecord['state'];
  about: { id: string; tenant: string; revision: string };
  candidate?: { model: string };
  closed?: string;
  limits: StoredLimit[] | Record<string, never>;
  decided_at: string;
  request_key: string;
  /** Of the run whose attempts are counted. */
  run?: string;
  /** JSON of `SharedCharges`. */
  shared?: string;
  /** Of charges at an account: JSON of them for the event. */
  held?: string;
}

interface StoredLimit {
  id: string;
  key: string;
  on_exceed: 'deny' | 'flag';
  capacity: string;
  before: string;
  used: string;
  reset_at: string;
  retry: string;
  crossed: string[] | Record<string, never>;
}

/** Lua writes an empty list as an empty object. */
const listOf = <Item>(list: Item[] | Record<string, never>): Item[] => (Array.isArray(list) ? list : []);

export const sharedOf = ({ shared }: StoredRecord): SharedCharges | undefined =>
  shared === undefined ? undefined : JSON.parse(shared);

/** Of charges at an account: JSON of them for the event, without its brackets. */
export const heldEvent = ({ held = '[]' }: StoredRecord): string => held.slice(1, -1);

/** Every key of a decision but those that its partition always has. */
export const keysOfRecord = ({ limits, request_key, run }: StoredRecord): string[] => [
  ...new Set(listOf(limits).map(({ key }) => key)),
  ...(request_key === '' ? [] : [request_key]),
  ...(run === undefined ? [] : [run]),
];

/** What became of the takes of a run, as `lua/includes/runs.lua` writes it. */
export interface StoredRun {
  attempts: number;
  failed: Record<string, string>;
}

/** Puts limits in the order of the plan. */
export const inOrder = <Item extends { id: string }>(items: Item[], order: string[]): Item[] =>
  items.toSorted((a, b) => order.indexOf(a.id) - order.indexOf(b.id));

export function decodeRecord(text: string): DecisionRecord {
  const record = JSON.parse(text) as StoredRecord;
  const { about, candidate, closed, decided_at, limits, state } = record;
  const own = listOf(limits).map(storedOutcome);
  const shared = sharedOf(record);
  return {
    decisionId: about.id,
    tenantId: about.tenant,
    state,
    policyRevision: about.revision || undefined,
    decidedAt: Number(decided_at),
    outcome: {
      granted: true,
      candidate: candidate?.model ?? null,
      closed: closedGates(closed ?? ''),
      limits: shared ? inOrder([...shared.limits, ...own], shared.order) : own,
    },
  };
}

const storedOutcome = (limit: StoredLimit): LimitOutcome =>
  limitOutcome(
    { id: limit.id, on_exceed: limit.on_exceed, capacity: Number(limit.capacity) },
    {
      granted: true,
      before: Number(limit.before),
      used: Number(limit.used),
      resetAt: Number(limit.reset_at),
      retryAfterMs: retryAfter(limit.retry),
      crossed: listOf(limit.crossed).map(Number),
    },
  );

/** The scripts say -1 where waiting does not help. */
const retryAfter = (retry: string | number | undefined) => (Number(retry) < 0 ? null : Number(retry));
