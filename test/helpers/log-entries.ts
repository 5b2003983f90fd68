import type { Begin, DecisionLog } from '../../sidecar/decision-log/decision-log.ts';

/** A policy that says nothing of logs. */
export const SILENT: Begin['policy'] = {
  revision: 'r1',
  isEntrypoint: () => false,
  spare: () => Promise.reject(new Error('nobody asks for it')),
};

/** Logs so many plain decisions, each with its number as `input.input_tokens`, and gives their ids. */
export function logDecisions(log: DecisionLog, count: number, more: object = {}, policy = SILENT): string[] {
  return Array.from({ length: count }, (_, n) => {
    const input = JSON.stringify({ tenant_id: 'acme', input_tokens: n, ...more });
    return log.begin({ policy, path: 'test/logged/echo', requestedBy: '127.0.0.1:1' }).plain(input, true);
  });
}
