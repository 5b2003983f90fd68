import type { Grant, Journal } from '../journal.ts';
import type { Row } from './evidence.ts';

const ENDS = new Set(['settled', 'voided', 'expired']);

/** I4: a decision is settled or voided once at most, by one of the reports that were made, and nothing stays reserved. */
export function checkReports(rows: readonly Row[], journal: Journal): string[] {
  const ends = new Map<string, Row[]>();
  for (const row of rows.filter(({ type }) => ENDS.has(type))) {
    ends.set(row.decision_id, [...(ends.get(row.decision_id) ?? []), row]);
  }
  const open = rows.filter(({ type }) => type === 'reserved').filter(({ decision_id }) => !ends.has(decision_id));
  return [
    ...open.map(({ decision_id }) => `I4: ${decision_id} is reserved for ever`),
    ...[...ends.values()].flatMap((events) => severalOf(events)),
    ...journal.reserved.flatMap((grant) => checkGrant(grant, ends.get(grant.decisionId) ?? [])),
  ];
}

function severalOf(events: Row[]): string[] {
  const [first] = events;
  const settled = events.filter(({ type }) => type !== 'expired').length;
  const expired = events.length - settled;
  return settled > 1 || expired > 1
    ? [`I4: ${first?.decision_id} ended ${settled} times, and expired ${expired} times`]
    : [];
}

function checkGrant(grant: Grant, events: Row[]): string[] {
  const { decisionId, estimate = 0, reports } = grant;
  const told = reports.filter(({ outcomes }) => outcomes.some(({ kind }) => kind === 'ok'));
  const end = events.find(({ type }) => type !== 'expired');
  if (!end)
    return told.length ? [`I4: a report of ${decisionId} was accepted, and the ledger does not know of it`] : [];
  const changes = new Set(
    told.flatMap(({ outcomes }) => outcomes.flatMap((outcome) => (outcome.kind === 'ok' ? [outcome.changes] : []))),
  );
  if (changes.size > 1)
    return [`I4: reports of ${decisionId} were answered differently: ${[...changes].join(' and ')}`];
  const month = end.limits.find(({ id }) => id === 'user:month');
  const amounts = (told.length ? told : reports).map(({ body }) => amountOf(body) - estimate);
  return amounts.includes(month?.amount ?? Number.NaN)
    ? []
    : [`I4: ${decisionId}, of ${estimate}, was moved by ${month?.amount}; reported was ${amounts.join(' or ')}`];
}

/** What a report says was used. */
function amountOf({ outcome, usage }: Record<string, unknown>): number {
  return outcome === 'failed' ? 0 : ((usage as { input?: number } | undefined)?.input ?? 0);
}
