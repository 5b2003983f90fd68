import type { Limit, Plan } from '../../../schemas/policy-io.ts';
import { jsonString } from '../../json-string.ts';
import type { Owed } from '../contract.ts';
import { forgottenAt, periodStart } from '../counter.ts';
import { encodeConsumed, nothingSaid, type Said } from '../event-text.ts';
import { counterField, type PartitionKeys } from '../keys.ts';
import { ADDED_HEAD, FIELDS, HEAD, type TakeReply } from './decode.ts';
import { kept, members } from './encode.ts';
import { type EncodedDecision, encodeAsk, type Request, runKeyOf } from './encode-decision.ts';
import { type AddedCounter, addedCounter, canRun, type RunningCounters } from './running.ts';

/** Where a plan's counters are: a key and a field for each limit, and the keys by the places that the script is told. */
interface Located {
  tenantId: string;
  keys: string[];
  /** Places from 1 on. */
  places: number[];
  fields: string[];
  /** Limits by their index, hash by hash. */
  order: number[];
  /** What was last sent of it. */
  adds: Adds | undefined;
  /** Of its last event. */
  said: Said;
}

/** What a plan adds to counters that run, as `lua/includes/add.lua` reads it, and between which instants of the store that holds. */
interface Adds {
  /** What it has in common with others that are asked alike. */
  common: string;
  own: string;
  counters: AddedCounter[];
  from: number;
  until: number;
}

/** A plan is memoised by its input, so the same object comes again and again. */
const located = new WeakMap<Plan, Located>();
const plain = new WeakMap<Plan, boolean>();

/** Nothing to choose, to remember or to settle: all that comes of it is its event and what its limits count. */
export function isPlain(request: Request, keys: PartitionKeys): boolean {
  const { failed, plan, refused, requestId, shared, whys } = request;
  const { decidedAt } = request as Partial<Owed>;
  const more = requestId ?? shared ?? refused ?? failed ?? whys ?? decidedAt ?? runKeyOf(request, keys);
  if (more !== undefined) return false;
  let is = plain.get(plan);
  if (is === undefined) {
    is = plan.limits.length > 0 && plan.candidates.length === 0 && plan.limits.every(canRun) && hasOwnCounters(plan);
    plain.set(plan, is);
  }
  return is;
}

/** No two limits count in one counter. */
const hasOwnCounters = ({ limits }: Plan) => new Set(limits.map(({ id }) => id)).size === limits.length;

/**
 * A plain decision without its plan, where all that it draws on is in a period that runs: then the script has only sums to reckon, in half
 * of the time. Undefined where that is not known. `now` is the store's time.
 */
export function encodeWithoutPlan(
  request: Request,
  keys: PartitionKeys,
  now: number,
  running: RunningCounters,
): EncodedDecision | undefined {
  const { event, plan } = request;
  const where = locate(plan, event.tenant_id, keys);
  const adds = current(where.adds, now) ?? addsOf(plan.limits, where, now, running);
  where.adds = adds;
  if (!adds) return undefined;
  const { common, counters, own } = adds;
  const about = encodeConsumed(request.decisionId, event, where.said);
  const { ask, keys: asked } = encodeAsk(request, keys, { named: where.keys.length, model: '' });
  return {
    keys: asked.length ? [...where.keys, ...asked] : where.keys,
    plan: common,
    args: [own, about, ask],
    size: common.length + own.length + about.length + ask.length,
    counters,
  };
}

/**
 * What a reply to a plain decision with its plan tells of its counters. Not where one has no room for another like it: that would be
 * refused, or flagged, and takes the plan.
 */
export function learnCounters(request: Request, reply: TakeReply, keys: PartitionKeys, running: RunningCounters): void {
  const { event, plan } = request;
  if (reply.words[0] !== 'taken' || !plan.limits.every((limit, index) => hasRoom(reply, limit, index))) return;
  const where = locate(plan, event.tenant_id, keys);
  where.fields.forEach((field, index) => {
    running.learn(keyAt(where, index), field, counterIn(reply, index));
  });
}

/** What was not as it was known is asked of the store again, plan and all. */
export function forgetCounters({ event, plan }: Request, keys: PartitionKeys, running: RunningCounters): void {
  const where = locate(plan, event.tenant_id, keys);
  where.adds = undefined;
  for (const key of where.keys) running.forget(key);
}

function locate(plan: Plan, tenantId: string, keys: PartitionKeys): Located {
  const { limits } = plan;
  const known = located.get(plan);
  if (known?.tenantId === tenantId) return known;
  const owners = limits.map((limit) => keys.subject(tenantId, limit));
  const named = [...new Set(owners)];
  const places = owners.map((key) => named.indexOf(key) + 1);
  const fresh = {
    tenantId,
    keys: named,
    places,
    fields: limits.map(counterField),
    order: named.flatMap((_, key) => [...places.keys()].filter((index) => places[index] === key + 1)),
    adds: undefined,
    said: nothingSaid(),
  };
  located.set(plan, fresh);
  return fresh;
}

const keyAt = ({ keys, places }: Located, index: number) => keys[(places[index] as number) - 1] as string;

const counterIn = ({ words }: TakeReply, index: number) => words[HEAD + FIELDS * index + 2] as string;

const hasRoom = (reply: TakeReply, { cost }: Limit, index: number): boolean =>
  Number.parseInt(counterIn(reply, index), 10) + cost <= Number(reply.words[HEAD + FIELDS * index + 3]);

const current = (adds: Adds | undefined, now: number) =>
  adds && adds.from <= now && now < adds.until ? adds : undefined;

function addsOf(limits: Limit[], where: Located, now: number, running: RunningCounters): Adds | undefined {
  const counters: AddedCounter[] = [];
  for (const [index, limit] of limits.entries()) {
    const counter = running.of(keyAt(where, index), where.fields[index] as string, limit, now);
    if (!counter) return undefined;
    counters.push(addedCounter(counter, limit, ADDED_HEAD + where.order.indexOf(index)));
  }
  const from = Math.max(...counters.map((counter) => counter.from));
  const until = Math.min(...counters.map((counter) => counter.until));
  return { ...encodeAdds(where, counters, { from, until, now }), counters, from, until };
}

function encodeAdds(
  { fields, keys, order, places }: Located,
  counters: AddedCounter[],
  { from, now, until }: { from: number; until: number; now: number },
): Pick<Adds, 'common' | 'own'> {
  const ordered = order.map((index) => counters[index] as AddedCounter);
  const needed = counters.map(({ limit, room, state }) => forgottenAt({ ...state, used: room }, limit, now));
  const tails = ordered.map(({ tail }) => tail).join('');
  const costs = order.map((index) => `${fields[index]} ${counters[index]?.cost} `).join('');
  const adds = keys.map((_, key) => {
    const inHash = counters.filter((_, index) => places[index] === key + 1);
    return [key + 1, ...inHash.flatMap(({ limit, room }) => [room, membersOf(limit)])];
  });
  return {
    common: kept(JSON.stringify({ adds })),
    own: `${from} ${until} ${Math.max(...needed)} ${tails}\n${costs}\n${ordered.map(eventOf).join()}`,
  };
}

const membersOf = ({ billed, kind, unit }: Limit) => members({ kind, unit, ...(billed && { billed }) });

/** A format of what the usage event says of a limit. */
const eventOf = ({ cost, id, state }: AddedCounter) =>
  `{"id":${jsonString(id).replaceAll('%', '%%')}%s,"amount":${cost},"before":%s,"after":%s,"period_start":${periodStart(state)}}`;
