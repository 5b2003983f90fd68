import type { Cycle } from '../cycles.ts';
import type { DraftLine } from './draft.ts';

/** A line of an amount that is of no event: about another invoice. */
export const flatLine = (line: {
  kind: 'credit' | 'reprice';
  description: string;
  amount: string;
  cycle: Cycle;
  adjustment: boolean;
  unit?: 'invoices' | 'lines';
}): DraftLine => ({
  kind: line.kind,
  description: line.description,
  adjustment: line.adjustment,
  cycle: line.cycle,
  plan: undefined,
  span: 0,
  span_start: line.cycle.start,
  span_end: line.cycle.end,
  model_names: null,
  price_to: null,
  quantity: '1',
  unit: line.unit ?? 'invoices',
  unit_price: line.amount,
  per: 1,
  exact_amount: line.amount,
  amount: line.amount,
});
