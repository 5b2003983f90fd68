import type { Journal } from '../journal.ts';
import type { Row } from './evidence.ts';

export const isTake = ({ type }: Row): boolean => type === 'consumed' || type === 'reserved';

/** I2: what was allowed is in the ledger once, and what was not is not. */
export function checkLedger(rows: readonly Row[], journal: Journal): string[] {
  return [...twice(rows), ...missing(rows, journal), ...unasked(rows, journal), ...dry(rows, journal)];
}

const twice = (rows: readonly Row[]): string[] =>
  [...countBy(rows, ({ id }) => id)].flatMap(([id, count]) =>
    count > 1 ? [`I2: ${id} is in the ledger ${count} times`] : [],
  );

function missing(rows: readonly Row[], { grants }: Journal): string[] {
  const takes = new Map(rows.filter(isTake).map((row) => [row.decision_id, row]));
  return [...grants.values()].flatMap(({ decisionId, tenant }) => {
    const take = takes.get(decisionId);
    if (!take) return [`I2: ${decisionId} was allowed, and is not in the ledger`];
    return take.tenant_id === tenant ? [] : [`I6: ${decisionId} of ${tenant} is charged to ${take.tenant_id}`];
  });
}

/** A charge that nobody was told of needs somebody who was told nothing. */
function unasked(rows: readonly Row[], { asked, grants, late }: Journal): string[] {
  const byHand = new Set(late.map(({ id }) => id));
  const charged = countBy(
    rows.filter((row) => isTake(row) && !row.request_id && !grants.has(row.decision_id) && !byHand.has(row.id)),
    ({ tenant_id }) => tenant_id,
  );
  const unknown = countBy(
    asked
      .filter(({ requestId }) => requestId === undefined)
      .flatMap(({ tenant, verdicts }) => verdicts.map((verdict) => ({ tenant, verdict }))),
    ({ tenant, verdict }) => (verdict.kind === 'unknown' ? tenant : ''),
  );
  return [...charged].flatMap(([tenant, count]) =>
    count > (unknown.get(tenant) ?? 0)
      ? [
          `I2: ${tenant} is charged for ${count} requests that nobody was told of, and ${unknown.get(tenant) ?? 0} got no answer`,
        ]
      : [],
  );
}

const dry = (rows: readonly Row[], { dryRuns }: Journal): string[] =>
  rows.flatMap(({ decision_id, id }) =>
    dryRuns.has(decision_id) ? [`I2: ${id} is in the ledger, and was a dry run`] : [],
  );

export function countBy<Item>(items: readonly Item[], nameOf: (item: Item) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(nameOf(item), (counts.get(nameOf(item)) ?? 0) + 1);
  return counts;
}
