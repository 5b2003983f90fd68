import type { Asked, Journal } from '../journal.ts';
import type { Row } from './evidence.ts';
import { countBy, isTake } from './ledger.ts';

/** I9: a request with an id is charged once at most, and is answered the same, however often it is asked. */
export function checkRequests(rows: readonly Row[], { asked }: Journal): string[] {
  const nameOf = ({ request_id, tenant_id }: Row) => `${tenant_id} ${request_id}`;
  const named = rows.filter(({ request_id }) => request_id);
  const takes = countBy(named.filter(isTake), nameOf);
  const voids = countBy(
    named.filter(({ type }) => type === 'voided'),
    nameOf,
  );
  const charged = [...takes].flatMap(([name, count]) =>
    count - (voids.get(name) ?? 0) > 1 ? [`I9: ${name} is charged ${count} times`] : [],
  );
  return [...charged, ...asked.flatMap((one) => (one.requestId === undefined || one.voidTried ? [] : sameAnswer(one)))];
}

function sameAnswer({ final, requestId, tenant, verdicts }: Asked): string[] {
  const granted = verdicts.filter((verdict) => verdict.kind === 'granted');
  const ids = new Set(granted.map(({ decisionId }) => decisionId));
  if (ids.size > 1) return [`I9: ${tenant} ${requestId} was granted as ${[...ids].join(' and ')}`];
  const first = granted.filter(({ replayed }) => !replayed).length;
  if (first > 1) return [`I9: ${tenant} ${requestId} was granted ${first} times, and not once and replayed`];
  if (granted.length > 0 && final && final.kind !== 'granted') {
    return [`I9: ${tenant} ${requestId} was granted, and is ${final.kind} when it is asked again`];
  }
  return verdicts.some(({ kind }) => kind === 'conflict')
    ? [`I9: ${tenant} ${requestId} is not known by its own body`]
    : [];
}
