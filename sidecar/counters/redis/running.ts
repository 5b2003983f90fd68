import { LRUCache } from 'lru-cache';
import type { Limit } from '../../../schemas/policy-io.ts';
import { type CounterState, capacityOf, forgottenAt, periodStart, resetAt, thresholdAmount } from '../counter.ts';
import { counterField } from '../keys.ts';
import { boundsAt } from '../periods.ts';
import { members } from './encode.ts';

/** A counter in a period that runs: until that is over, nothing of it changes but what is in use. */
export interface RunningCounter {
  /** What is kept of it, with nothing in use. */
  state: CounterState;
  /** The same as text, behind what is in use: see `lua/includes/counters.lua`. */
  tail: string;
  capacity: number;
  /** What may be in use below its next threshold. */
  room: number;
  /** Between which instants of the store this holds, in epoch milliseconds. */
  from: number;
  until: number;
}

/** Subjects whose counters are known; some 300 bytes each. */
const MAX_SUBJECTS = 20_000;

/** What is kept of counters behind what is in use, by key and field, as the store last told it. */
export class RunningCounters {
  readonly #tails = new LRUCache<string, Map<string, string>>({ max: MAX_SUBJECTS });

  learn(key: string, limit: Limit, tail: string): void {
    const known = this.#tails.get(key);
    if (known) known.set(counterField(limit), tail);
    else this.#tails.set(key, new Map([[counterField(limit), tail]]));
  }

  forget(key: string): void {
    this.#tails.delete(key);
  }

  /** Undefined where it is not known, or it does not run at `now`, the store's time. */
  of(key: string, limit: Limit, now: number): RunningCounter | undefined {
    const tail = this.#tails.get(key)?.get(counterField(limit));
    return tail === undefined ? undefined : runningCounter(limit, tail, now);
  }
}

/**
 * Whether a limit's counter stays as it is through a period: windows, and buckets that are filled at intervals. Not where something is
 * settled later, for of that a record is kept, nor where what is left is carried over, for that moves with every use how long it is kept.
 */
export function canRun(limit: Limit): boolean {
  if (limit.settles || !(limit.cost > 0)) return false;
  if (limit.kind === 'token_bucket') return limit.refill.mode === 'interval';
  return limit.kind === 'window' && !limit.window.rollover;
}

function runningCounter(limit: Limit, tail: string, now: number): RunningCounter | undefined {
  const known = limit.kind === 'window' ? runningWindow(limit, tail, now) : runningBucket(limit, tail);
  if (!known || now < known.from || now >= known.until) return undefined;
  const capacity = capacityOf(known.state, limit);
  const { announced } = known.state;
  const next = limit.thresholds.filter((percent) => percent > announced);
  const room = Math.min(capacity, ...next.map((percent) => thresholdAmount(percent, capacity) - 1));
  return room < limit.cost ? undefined : { ...known, tail, capacity, room };
}

type Period = Pick<RunningCounter, 'state' | 'from' | 'until'>;

function runningWindow(limit: Extract<Limit, { kind: 'window' }>, tail: string, now: number): Period | undefined {
  const [, start = 0, carried = 0, announced = 0] = tail.split(':').map(Number);
  const [, from, until] = boundsAt(limit.window, now);
  return start === from ? { state: { used: 0, start, carried, announced }, from, until } : undefined;
}

function runningBucket(limit: Limit, tail: string): Period | undefined {
  if (limit.kind !== 'token_bucket') return undefined;
  const [, at = 0, rest = 0, since = 0, refilled = 0, announced = 0] = tail.split(':').map(Number);
  const until = at + limit.refill.per_seconds * 1000;
  return { state: { used: 0, at, rest, since, refilled, announced }, from: at, until };
}

/** Epoch milliseconds at which nothing is in use any more, if so much is at `now`. Looked at anew only where one fill is not enough. */
export function resetOf({ state, until }: RunningCounter, limit: Limit, used: number, now: number): number {
  if (limit.kind !== 'token_bucket' || used <= limit.refill.amount) return until;
  return resetAt({ ...state, used }, limit, now);
}

/** As `lua/includes/add.lua` reads it: what is common to those who are asked alike, and what is the counters' own. */
export function encodeAdds(
  limits: Limit[],
  owners: number[],
  counters: RunningCounter[],
  now: number,
): { common: string; own: string } {
  const from = Math.max(...counters.map((counter) => counter.from));
  const until = Math.min(...counters.map((counter) => counter.until));
  const needed = counters.map(({ room, state }, index) =>
    forgottenAt({ ...state, used: room }, limits[index] as Limit, now),
  );
  const adds = limits.map((limit, index) =>
    encodeAdd(limit, owners[index] as number, counters[index] as RunningCounter),
  );
  const lines = limits.map((limit, index) => encodeOwn(limit, counters[index] as RunningCounter));
  return { common: JSON.stringify({ adds }), own: `${from} ${until} ${Math.max(...needed)}\n${lines.join('')}` };
}

function encodeAdd({ billed, cost, kind, unit }: Limit, owner: number, { room }: RunningCounter) {
  return [owner, cost, room, `${members({ kind, unit, ...(billed && { billed }), amount: cost })},"before":`];
}

const encodeOwn = (limit: Limit, { state, tail }: RunningCounter): string =>
  `${counterField(limit)} ${tail} {"id":${JSON.stringify(limit.id)},"period_start":${periodStart(state)}\n`;
