import type { Decision, Limit, LimitOutcome, Outcome, Plan } from '../../schemas/policy-io.ts';
import { backAt } from './back-at.ts';
import { windowSeconds } from './window-seconds.ts';

const PLACEHOLDER =
  /\{(percent_used|period|tokens_used|tokens_limit|tokens_remaining|reset_time|available_at|available_in)\}/g;

const PERIODS: Record<number, string> = {
  60: 'per-minute',
  3600: 'hourly',
  86400: 'daily',
  604800: 'weekly',
  2592000: 'monthly',
};

/** Decisions with nothing to fill in, as they are told. A remembered decision is one object for as long as it is remembered. */
const plain = new WeakMap<Decision, Decision | 'has placeholders'>();

function plainOf(decision: Decision): Decision | 'has placeholders' {
  const known = plain.get(decision);
  if (known) return known;
  const { message, obligations, warnings } = decision;
  const texts = [message, ...warnings, obligations.footer ?? ''];
  const isPlain = obligations.notify === undefined && !texts.some((text) => text.includes('{'));
  const told = isPlain ? withoutAbout(decision) : 'has placeholders';
  plain.set(decision, told);
  return told;
}

/**
 * Fills the placeholders of message, warnings, footer and notices with the exact numbers: of the limit that decided, among those
 * that the decision is `about`. Warnings and footer speak to the user: of the user's own limits where it has any, and in warnings of
 * one that crossed a threshold. `now`: by the clock of what candidates were passed over for.
 */
export function fillTemplates(decision: Decision, outcome: Outcome, plan: Plan, now: number): Decision {
  const known = plainOf(decision);
  if (known !== 'has placeholders') return known;
  const told = outcome.limits.filter(({ id }) => decision.about?.includes(id));
  const limits = told.length ? told : outcome.limits;
  const own = outcome.limits.filter(({ id }) => ruleOf(id, plan)?.subject.type === 'user');
  const crossing = (some: LimitOutcome[]) => decisive({ limits: some.filter(({ crossed }) => crossed.length > 0) });
  const limit = decisive({ limits });
  const footer = decisive({ limits: own }) ?? limit;
  const warning = crossing(own) ?? crossing(limits) ?? limit;
  return fillPlaceholders(decision, {
    text: (name) => availability(name, outcome, now) ?? value(name, limit, plan),
    warning: (name) => value(name, warning, plan),
    footer: (name) => value(name, footer, plan),
  });
}

/** What a decision is `about` has served its purpose. */
const withoutAbout = ({ about: _, ...decision }: Decision): Decision => decision;

type Named = (name: string) => string;

/** The words that a decision answers with. What it is `about` has served its purpose. */
export function fillPlaceholders(
  { about: _, ...decision }: Decision,
  named: { text: Named; warning: Named; footer?: Named },
): Decision {
  const fill = (text: string, value = named.text) => text.replace(PLACEHOLDER, (_, name: string) => value(name));
  const { footer, notify } = decision.obligations;
  return {
    ...decision,
    message: fill(decision.message),
    warnings: decision.warnings.map((warning) => fill(warning, named.warning)),
    obligations: {
      ...decision.obligations,
      ...(footer !== undefined && { footer: fill(footer, named.footer) }),
      ...(notify && { notify: notify.map((notice) => filledNotice(notice, fill)) }),
    },
  };
}

const filledNotice = (notice: Record<string, unknown>, fill: (text: string) => string) =>
  Object.fromEntries(
    Object.entries(notice).map(([key, value]) => [key, typeof value === 'string' ? fill(value) : value]),
  );

/** The refused limit that is short the longest; where none was refused, the one that is used up the most. */
export function decisive({ limits }: Pick<Outcome, 'limits'>): LimitOutcome | undefined {
  const wait = (limit: LimitOutcome) => limit.retry_after_ms ?? Number.POSITIVE_INFINITY;
  const refused = limits.filter((limit) => !limit.granted);
  if (refused.length) return refused.reduce((most, limit) => (wait(limit) > wait(most) ? limit : most));
  return limits.reduce<LimitOutcome | undefined>(
    (most, limit) => (most && most.used_percent >= limit.used_percent ? most : limit),
    undefined,
  );
}

/** When some candidate may be back. */
function availability(name: string, { closed }: Outcome, now: number): string | undefined {
  if (name !== 'available_at' && name !== 'available_in') return undefined;
  const at = backAt(closed);
  if (at === undefined) return name === 'available_at' ? 'a time that nobody knows' : 'a while';
  return name === 'available_at' ? new Date(at).toISOString() : inWords(at - now);
}

/** Rounded up: who waits this long never comes too early. */
function inWords(ms: number): string {
  const seconds = Math.max(1, Math.ceil(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`;
}

/** Without any limit there is no number, and the placeholder stays. */
function value(name: string, limit: LimitOutcome | undefined, plan: Plan): string {
  if (!limit) return `{${name}}`;
  switch (name) {
    case 'percent_used':
      return String(limit.used_percent);
    case 'tokens_used':
      return amount(limit.used, limit, plan);
    case 'tokens_limit':
      return amount(limit.capacity, limit, plan);
    case 'tokens_remaining':
      return amount(limit.remaining, limit, plan);
    case 'period':
      return period(limit, plan);
    default:
      return new Date(limit.reset_at).toISOString();
  }
}

const NANOS = 9;

/** As it is counted; money in USD and not in nano-dollars, of which nobody has heard: `$249.99`, `$0.0105`. */
function amount(counted: number, { id }: LimitOutcome, plan: Plan): string {
  if (ruleOf(id, plan)?.unit !== 'usd') return String(counted);
  const digits = String(counted).padStart(NANOS + 1, '0');
  const cents = digits.slice(-NANOS).replace(/0{1,7}$/, '');
  return `$${digits.slice(0, -NANOS)}.${cents}`;
}

function period(limit: LimitOutcome, plan: Plan): string {
  const rule = ruleOf(limit.id, plan);
  const seconds = rule && windowSeconds(rule);
  return seconds === undefined ? 'concurrent' : (PERIODS[seconds] ?? `${seconds}-second`);
}

const ruleOf = (id: string, plan: Plan): Limit | undefined =>
  [...plan.limits, ...plan.candidates.flatMap((c) => c.limits)].find((limit) => limit.id === id);
