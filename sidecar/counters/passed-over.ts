import type { ClosedGate, Limit } from '../../schemas/policy-io.ts';

/** Entries of `Outcome.closed`: what a candidate was passed over for, and why, as the `on` of those after it names it. */

/** A circuit is open after time-outs and where the provider is unavailable: it does not tell which. */
const CIRCUIT = 'circuit';

/** Why a candidate is passed over whose gate is closed. */
export function whyOfGate(name: string): string {
  const [kind = ''] = name.split(':', 1);
  return { cooldown: 'rate_limit', circuit: CIRCUIT }[kind] ?? 'other';
}

/** The reasons as the stores compare them. */
export const acceptedWhys = (on: readonly string[]): string[] =>
  on.includes('timeout') || on.includes('unavailable') ? [...on, CIRCUIT] : [...on];

export const shortLimit = (limit: Limit): { gate: string; why: string } =>
  limit.scope === 'tenant'
    ? { gate: `budget:${limit.id}`, why: 'budget' }
    : { gate: `limit:${limit.id}`, why: 'rate_limit' };

/** Why candidates were passed over, in their order: known of those that another part of the decision has looked at. */
export const whysOf = (closed: readonly ClosedGate[]): string[] => closed.map(({ gate }) => whyOf(gate));

function whyOf(gate: string): string {
  const [kind = '', ...rest] = gate.split(':');
  switch (kind) {
    case 'limit':
      return 'rate_limit';
    case 'budget':
    case 'attempts':
      return kind;
    case 'failed':
    case 'on':
      return rest.join(':');
    default:
      return whyOfGate(gate);
  }
}
