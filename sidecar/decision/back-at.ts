import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import type { ClosedGate } from '../../schemas/policy-io.ts';

/**
 * When the first of the candidates that were passed over may be back, in epoch milliseconds; undefined: none by itself. A
 * candidate is when all that stands in its way is over. One that is no candidate for what another was passed over for waits for
 * that one.
 */
export function backAt(closed: readonly ClosedGate[]): number | undefined {
  const barred = new Set(closed.filter(({ gate }) => gate.startsWith('on:')).map(({ candidate }) => candidate));
  const backs = new Map<string, number>();
  for (const { candidate, until } of closed) {
    if (!barred.has(candidate)) backs.set(candidate, Math.max(until, backs.get(candidate) ?? 0));
  }
  const first = Math.min(MAX_AMOUNT, ...backs.values());
  return first === MAX_AMOUNT ? undefined : first;
}
