import { LRUCache } from 'lru-cache';
import type { Limit, Plan } from '../../../schemas/policy-io.ts';
import { USUAL_MS } from '../calendar-window.ts';
import type { EventSubject } from '../contract.ts';
import { encodeEvent, modelMember, nothingSaid, type Said } from '../event-text.ts';
import { gatesOf } from '../gates.ts';
import { counterField, type PartitionKeys } from '../keys.ts';
import { acceptedWhys, whyOfGate } from '../passed-over.ts';
import { boundsAt } from '../periods.ts';

/** What the scripts are given, as JSON text: see the headers of `lua/*.lua`. */

export interface EncodedPlan {
  /** What it has in common with those of others that are asked the same. */
  text: string;
  /** What is its limits' own, a line for each. */
  own: string;
  /** The keys that it names by their place in this list, from 1 on. */
  keys: string[];
  /** Of its last event. */
  said: Said;
}

interface Known extends EncodedPlan {
  tenantId: string;
  /** From when until when the bounds of its windows are those around the caller's clock. */
  from: number;
  until: number;
}

/** A plan is memoised by its input, so the same object comes again and again: its text is made once for each period. */
const texts = new WeakMap<Plan, Known>();

/** Plans of many tenants have one text: it is kept once, and found in a call by what it is and not letter by letter. */
const shared = new LRUCache<string, string>({ max: 1_000 });

export function kept(text: string): string {
  const before = shared.get(text);
  if (before !== undefined) return before;
  shared.set(text, text);
  return text;
}

/** `now` is where in the calendar the store is thought to be, in epoch milliseconds. */
export function encodePlan(plan: Plan, tenantId: string, keys: PartitionKeys, now: number): EncodedPlan {
  const known = texts.get(plan);
  if (known?.tenantId === tenantId && known.from <= now && now < known.until) return known;
  const limits = [...plan.limits, ...plan.candidates.flatMap((candidate) => candidate.limits)];
  const [from, until] = sameBounds(limits, now);
  const named = new Map<string, number>();
  const place = (key: string) => {
    const at = named.get(key) ?? named.size + 1;
    named.set(key, at);
    return at;
  };
  const owners = limits.map((limit) => place(keys.subject(tenantId, limit)));
  const text = JSON.stringify({
    rules: limits.map((limit, index) => encodeRule(limit, owners[index] as number, now)),
    keys: placesByKey(owners, limits.map(counterField)),
    common: plan.limits.length,
    candidates: plan.candidates.map((candidate) => ({
      model: candidate.model,
      json: JSON.stringify(candidate.model),
      ...(candidate.on && { on: Object.fromEntries(acceptedWhys(candidate.on).map((why) => [why, true])) }),
      limits: candidate.limits.length,
      gates: gatesOf(candidate, plan, tenantId).map((gate) => ({
        key: place(keys.gate(gate)),
        json: JSON.stringify(gate.name),
        why: whyOfGate(gate.name),
      })),
    })),
  });
  const own = limits.map(encodeOwn).join('');
  const encoded = { tenantId, text: kept(text), own, keys: [...named.keys()], from, until, said: nothingSaid() };
  texts.set(plan, encoded);
  return encoded;
}

/** Of each key, the places from 1 on of the limits whose fields are read together: each field once. */
function placesByKey(keys: number[], fields: string[]): number[][] {
  const places: Map<string, number>[] = [];
  keys.forEach((key, index) => {
    const field = fields[index] as string;
    places[key - 1] ??= new Map();
    if (!places[key - 1]?.has(field)) places[key - 1]?.set(field, index + 1);
  });
  return places.map((placed) => [...placed.values()]);
}

/** From when until when all windows are in the period that they are in now. */
function sameBounds(limits: Limit[], now: number): [from: number, until: number] {
  const bounds = limits.flatMap((limit) => (limit.kind === 'window' ? [boundsAt(limit.window, now)] : []));
  return [Math.max(...bounds.map(([, start]) => start)), Math.min(...bounds.map(([, , next]) => next))];
}

/** As `lua/includes/limit.lua` reads it. */
function encodeRule(limit: Limit, key: number, now: number) {
  const { billed, capacity, counts = '', kind, on_exceed, scope, settles, thresholds, unit } = limit;
  return [
    kind[0],
    key,
    unit,
    capacity,
    on_exceed === 'deny',
    settles,
    scope !== 'tenant',
    thresholds,
    counts,
    members({ kind, unit, ...(billed && { billed }) }),
    ...ruleOf(limit, now),
  ];
}

/** A cost that is no number is sent as none: a text may hold whatever parts the line. */
const encodeOwn = (limit: Limit): string =>
  `${counterField(limit)} ${typeof limit.cost === 'number' ? limit.cost : '-'} ${JSON.stringify(limit.id)}\n`;

function ruleOf(limit: Limit, now: number): unknown[] {
  switch (limit.kind) {
    case 'token_bucket':
      return [limit.refill.amount, limit.refill.per_seconds * 1000, limit.refill.mode === 'interval'];
    case 'window': {
      const { period, rollover } = limit.window;
      return [boundsAt(limit.window, now), USUAL_MS[period], rollover?.max ?? 0];
    }
    case 'concurrency':
      return [];
  }
}

/** The same of a decision that is remembered, or that nothing was taken for. */
export function encodeAbout(decisionId: string, event: EventSubject): string {
  return JSON.stringify({
    id: decisionId,
    tenant: event.tenant_id,
    revision: event.policy_revision ?? '',
    model: modelMember(event),
    event: encodeEvent(decisionId, event),
  });
}

/** JSON of an object without its closing brace: the script goes on from there. */
export const opened = (value: object) => JSON.stringify(value).slice(0, -1);

/** JSON members to go on with: each with a comma before it. */
export const members = (value: object): string => {
  const inner = JSON.stringify(value).slice(1, -1);
  return inner && `,${inner}`;
};
