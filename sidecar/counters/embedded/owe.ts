import type { CounterSettings, Owed, OweResult } from '../contract.ts';
import { periodStart } from '../counter.ts';
import type { Decided } from './effect.ts';
import { chargesOf, grant, newRecord } from './grant.ts';
import { type View, viewOf } from './look.ts';
import type { State } from './state.ts';
import { grantedBefore, liveRecord, replay, requestKeyOf } from './take.ts';

/** Charges what was allowed while the store was away, whether there is room or not. Its record tells that it was done. */
export function decideOwed(state: State, owed: Owed, settings: CounterSettings, now: number): Decided<OweResult> {
  const { decidedAt, decisionId, event, plan } = owed;
  const requestKey = requestKeyOf(owed);
  const known = liveRecord(state, decisionId, now) ?? grantedBefore(state, requestKey, now);
  if (known) return { answer: replay(known, owed) };
  const [candidate] = plan.candidates;
  const limits = [...plan.limits, ...(candidate?.limits ?? [])];
  const views = limits.map((limit) => inItsPeriod(viewOf(state, limit, event.tenant_id, now), decidedAt));
  const looked = { granted: true, candidate, limits, closed: [], views };
  const record = newRecord({ request: owed, requestKey, looked, settings, now, decidedAt });
  const charges = chargesOf(views).map((charge, index) => (isOver(views[index]) ? { ...charge, since: 0 } : charge));
  return grant(state, record, { views, charges, kept: true, now, degraded: true });
}

/** What was used in a period that is over is not taken from the one that runs. */
function inItsPeriod(view: View, decidedAt: number): View {
  const over = view.limit.kind === 'window' && decidedAt < periodStart(view.counter);
  return { ...view, granted: true, ...(over && { charged: { after: view.counter, crossed: [] } }) };
}

const isOver = (view: View | undefined) => view?.charged.after === view?.counter;
