import type { Limit, LimitOutcome, Outcome, Plan } from '../../schemas/policy-io.ts';
import type { Answer } from '../decision/answer.ts';
import { backAt } from '../decision/back-at.ts';
import { decisive } from '../decision/message.ts';
import { windowSeconds } from '../decision/window-seconds.ts';

/**
 * `RateLimit-Policy` and `RateLimit` for each limit of the answer, and `Retry-After` where waiting helps.
 * The syntax is that of draft-ietf-httpapi-ratelimit-headers-10; no other place depends on it.
 */
export function rateLimitHeaders(answer: Answer): Record<string, string> {
  const { at, decision, outcome, plan } = answer;
  if (!outcome || !plan) return decision.reason === 'counters_unavailable' ? { 'Retry-After': '1' } : {};
  const wait = outcome.granted ? undefined : waitFor(answer, outcome);
  const headers = outcome.limits.length ? limitHeaders(outcome.limits, plan, at) : {};
  return typeof wait === 'number' ? { ...headers, 'Retry-After': String(Math.max(1, seconds(wait))) } : headers;
}

function limitHeaders(limits: readonly LimitOutcome[], plan: Plan, at: number): Record<string, string> {
  const names = namesOf(plan);
  let items = '';
  for (const [index, limit] of limits.entries()) {
    const item = limitItem(limit, nameOf(limit, index, names), at);
    items = items === '' ? item : `${items}, ${item}`;
  }
  return { 'RateLimit-Policy': policyItems(limits, plan, names), RateLimit: items };
}

/** Of a provider that is not available it is not the limits alone that tell. */
function waitFor({ about, at, decision }: Answer, outcome: Outcome) {
  if (decision.reason !== 'provider_unavailable') return decisive(refusing(outcome, about))?.retry_after_ms;
  const back = backAt(outcome.closed);
  return back === undefined ? undefined : Math.max(0, back - at);
}

/** A refusal shows the limits of the first candidate: what the policy says it is about tells which of them refused. */
function refusing({ limits }: Outcome, about: readonly string[] = []): Pick<Outcome, 'limits'> {
  const told = limits.filter(({ granted, id }) => !granted && about.includes(id));
  return { limits: told.length ? told : limits };
}

/** What of a limit's items is the same for as long as its plan is remembered. */
interface Named {
  id: string;
  name: string;
  /** `;w=60`; empty for a limit without a window. */
  window: string;
}

interface Names {
  /** In the plan's order, its candidates' behind its own. */
  all: readonly Named[];
  /** What an answer with the plan's own limits and capacities says of them, once one has been given: a rollover adds to a capacity. */
  items: string | undefined;
}

const known = new WeakMap<Plan, Names>();

function namesOf(plan: Plan): Names {
  const before = known.get(plan);
  if (before) return before;
  const limits = [...plan.limits, ...plan.candidates.flatMap((c) => c.limits)];
  const all = limits.map((limit) => ({ id: limit.id, name: quoted(limit.id), window: windowOf(limit) }));
  const names = { all, items: undefined };
  known.set(plan, names);
  return names;
}

/** An answer has its limits in the plan's order, but for those of candidates that were passed over, and of an answer that is repeated. */
function nameOf({ id }: LimitOutcome, index: number, { all }: Names): Named {
  const there = all[index];
  if (there?.id === id) return there;
  return all.find((named) => named.id === id) ?? { id, name: quoted(id), window: '' };
}

function windowOf(limit: Limit): string {
  const seconds = windowSeconds(limit);
  return seconds === undefined ? '' : `;w=${seconds}`;
}

function policyItems(limits: readonly LimitOutcome[], plan: Plan, names: Names): string {
  const isOwn = ({ capacity, id }: LimitOutcome, index: number) =>
    id === plan.limits[index]?.id && capacity === plan.limits[index].capacity;
  if (limits.length !== plan.limits.length || !limits.every(isOwn)) return itemsOf(limits, names);
  names.items ??= itemsOf(limits, names);
  return names.items;
}

const itemsOf = (limits: readonly LimitOutcome[], names: Names) =>
  limits.map((limit, index) => policyItem(limit, nameOf(limit, index, names))).join(', ');

const policyItem = ({ capacity }: LimitOutcome, { name, window }: Named) => `${name};q=${capacity}${window}`;

const limitItem = ({ remaining, reset_at }: LimitOutcome, { name }: Named, at: number) =>
  `${name};r=${remaining};t=${Math.max(0, seconds(reset_at - at))}`;

/** Rounded up: who waits this long never comes too early. */
const seconds = (milliseconds: number) => Math.ceil(milliseconds / 1000);

/** A structured-field string (RFC 9651) holds printable ASCII only; the rest is percent-encoded. */
const quoted = (id: string) => `"${id.replace(/[^ !#-[\]-~]/gu, (char) => encodeURIComponent(char))}"`;
