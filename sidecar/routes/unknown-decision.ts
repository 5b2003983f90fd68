import type { Clock } from '../../runtime/clock.ts';
import { type CounterStore, RECORD_TTL_MS } from '../counters/contract.ts';
import { decisionTime } from '../decision/decision-id.ts';
import { Refusal } from './refusal.ts';

export interface UnknownDecisionDeps {
  store: Pick<CounterStore, 'record'>;
  clock: Clock;
}

/**
 * What a report of a decision is refused with that the store does not know: 410 where it is too old, as its id tells, and 404
 * where it is another tenant's, nobody's, or young.
 */
export async function unknownDecision(decisionId: string, { clock, store }: UnknownDecisionDeps): Promise<Refusal> {
  const name = JSON.stringify(decisionId);
  const madeAt = decisionTime(decisionId);
  // A report keeps a record for longer; one that is there is another tenant's.
  if (madeAt !== undefined && clock.now() - madeAt > RECORD_TTL_MS && !(await store.record(decisionId))) {
    return new Refusal(
      410,
      'resource_gone',
      `decision ${name} is older than 24 hours, and reports no longer change it; a correction goes through the billing worker, as an adjustment: POST /v1/invoices/{id}/credit_notes`,
    );
  }
  return new Refusal(
    404,
    'resource_not_found',
    `no record of decision ${name}; it is kept for 24 hours where something settles, a provider account serves the model or a request_id was given`,
  );
}
