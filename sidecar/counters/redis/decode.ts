import type { ClosedGate, Limit, LimitOutcome, Outcome, Plan } from '../../../schemas/policy-io.ts';
import { CountersUnavailable, type DecisionRecord, type Receipt, RecordsFull, type TakeResult } from '../contract.ts';
import { limitOutcome } from '../outcome.ts';
import { type AddedCounter, resetOf } from './running.ts';

/** What a script replies for one decision, as it comes: see the header of `lua/take-3.lua`. */
export type RawReply = string | [words: string, ...texts: string[]];

/** The first of the words is the status. */
export interface TakeReply {
  words: readonly string[];
  texts: readonly string[];
  /** Of a decision that was sent without its plan. */
  counters?: readonly AddedCounter[] | undefined;
}

const NONE: readonly string[] = [];

export function readReply(raw: RawReply): TakeReply {
  if (typeof raw === 'string') return { words: raw.split(' '), texts: NONE };
  const [words, ...texts] = raw;
  return { words: words.split(' '), texts };
}

const TIMED = new Set(['taken', 'added', 'unsure', 'refused', 'closed', 'full', 'late', 'stale_windows']);

/** The store's time when it answered; undefined for an answer that does not say it. */
export const timeOf = ({ words: [status, at] }: TakeReply): number | undefined =>
  TIMED.has(status as string) ? Number(at) : undefined;

/**
 * Whether nothing was taken because the store was told of another time than its own: of other periods, or of a deadline
 * that was over by its clock.
 */
export const isMistimed = ({ words: [status] }: TakeReply): boolean => status === 'late' || status === 'stale_windows';

/** Words of each limit in a reply, and what stands before the first. */
export const FIELDS = 7;
export const HEAD = 3;

/** Throws `CountersUnavailable` where nothing was decided; `maxRecords` is what the script was told, `receipt` that of a grant. */
export function decodeTake(reply: TakeReply, plan: Plan, maxRecords: number, receipt: Receipt): TakeResult {
  const [status, now] = reply.words;
  const at = Number(now);
  if (status === 'added') return { kind: 'taken', at, outcome: decodeAdded(reply, at), receipt };
  if (status === 'taken') return { kind: 'taken', at, outcome: decodeOutcome(reply, plan, true), receipt };
  if (status === 'refused') return { kind: 'refused', at, outcome: decodeOutcome(reply, plan, false) };
  if (status === 'closed') return { kind: 'closed', at };
  if (status === 'conflict') return { kind: 'conflict' };
  if (status === 'replayed') {
    const { decisionId, decidedAt, outcome, policyRevision } = decodeRecord(String(reply.texts[0]));
    return { kind: 'replayed', at: decidedAt, decisionId, outcome, policyRevision };
  }
  if (status === 'full') throw new RecordsFull(maxRecords);
  throw new CountersUnavailable(failureOf(reply));
}

function failureOf({ texts: [message], words: [status] }: TakeReply): string {
  if (status === 'late') return 'the take came too late, and took nothing';
  if (status === 'stale_windows') return 'the store’s clock is not where it was a moment ago';
  return `the take script refused its arguments: ${message ?? status}`;
}

/** The place of the candidate that was taken, from 0 on; 0 where the plan names none. */
export const chosenOf = ({ words }: TakeReply): number =>
  words[0] === 'taken' ? Math.max(0, Number(words[2]) - 1) : 0;

/** What stands before the first counter of an `added` reply. */
export const ADDED_HEAD = 2;

/** The numbers of a reply that says only what was in use before. */
function decodeAdded({ counters = [], words }: TakeReply, at: number): Outcome {
  const limits = counters.map((counter) => addedTo(counter, words, at));
  return { granted: true, candidate: null, closed: [], limits };
}

/** What a limit came to whose counter ran, with room for it. `at` is the store's time. */
export function addedTo(counter: AddedCounter, words: readonly string[], at: number): LimitOutcome {
  const before = Number(words[counter.word]);
  const used = before + counter.cost;
  const resetAt = resetOf(counter, used, at);
  return limitOutcome(counter, { granted: true, before, used, resetAt, retryAfterMs: 0, crossed: [] });
}

/** The numbers of a `taken` or `refused` reply, put beside the limits that they are of. */
function decodeOutcome({ texts, words }: TakeReply, plan: Plan, granted: boolean): Outcome {
  const chosen = Number(words[2]);
  const candidate = granted && chosen > 0 ? plan.candidates[chosen - 1] : plan.candidates[0];
  const limits: Limit[] = candidate ? [...plan.limits, ...candidate.limits] : plan.limits;
  return {
    granted,
    candidate: granted ? (candidate?.model ?? null) : null,
    closed: closedGates(texts[1] ?? ''),
    limits: limits.map((limit, index) => limitAt(words, HEAD + index * FIELDS, limit)),
  };
}

function limitAt(words: readonly string[], first: number, { id, on_exceed }: Limit): LimitOutcome {
  const crossed = words[first + 6] as string;
  return limitOutcome(
    { id, on_exceed, capacity: Number(words[first + 3]) },
    {
      granted: words[first] === '1',
      before: Number(words[first + 1]),
      // As far as there are digits.
      used: Number.parseInt(words[first + 2] as string, 10),
      resetAt: Number(words[first + 4]),
      retryAfterMs: retryAfter(words[first + 5]),
      crossed: crossed === '-' ? [] : crossed.split(',').map(Number),
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
