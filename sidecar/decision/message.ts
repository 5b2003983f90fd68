import type { Decision, LimitOutcome, Outcome, Plan } from '../../schemas/policy-io.ts';
import { windowSeconds } from './window-seconds.ts';

const PLACEHOLDER = /\{(percent_used|period|tokens_used|tokens_limit|tokens_remaining|reset_time)\}/g;

const PERIODS: Record<number, string> = { 3600: 'hourly', 86400: 'daily', 604800: 'weekly' };

/** Fills the placeholders of message, warnings and footer with the exact numbers of the limit that decided. */
export function fillTemplates(decision: Decision, outcome: Outcome, plan: Plan): Decision {
  const limit = decisive(outcome);
  return limit ? fillPlaceholders(decision, (name) => value(name, limit, plan)) : decision;
}

export function fillPlaceholders(decision: Decision, named: (name: string) => string): Decision {
  const fill = (text: string) => text.replace(PLACEHOLDER, (_, name: string) => named(name));
  const { footer } = decision.obligations;
  return {
    ...decision,
    message: fill(decision.message),
    warnings: decision.warnings.map(fill),
    obligations: { ...decision.obligations, ...(footer !== undefined && { footer: fill(footer) }) },
  };
}

/** The refused limit that is short the longest; where none was refused, the one that is used up the most. */
export function decisive({ limits }: Outcome): LimitOutcome | undefined {
  const wait = (limit: LimitOutcome) => limit.retry_after_ms ?? Number.POSITIVE_INFINITY;
  const refused = limits.filter((limit) => !limit.granted);
  if (refused.length) return refused.reduce((most, limit) => (wait(limit) > wait(most) ? limit : most));
  return limits.reduce<LimitOutcome | undefined>(
    (most, limit) => (most && most.used_percent >= limit.used_percent ? most : limit),
    undefined,
  );
}

function value(name: string, limit: LimitOutcome, plan: Plan): string {
  switch (name) {
    case 'percent_used':
      return String(limit.used_percent);
    case 'tokens_used':
      return String(limit.used);
    case 'tokens_limit':
      return String(limit.capacity);
    case 'tokens_remaining':
      return String(limit.remaining);
    case 'period':
      return period(limit, plan);
    default:
      return new Date(limit.reset_at).toISOString();
  }
}

function period(limit: LimitOutcome, plan: Plan): string {
  const rule = [...plan.limits, ...plan.candidates.flatMap((c) => c.limits)].find(({ id }) => id === limit.id);
  const seconds = rule && windowSeconds(rule);
  return seconds === undefined ? 'concurrent' : (PERIODS[seconds] ?? `${seconds}-second`);
}
