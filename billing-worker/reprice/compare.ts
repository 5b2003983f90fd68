import type { InvoiceDocument } from '../invoices/document.ts';
import type { DraftLine } from '../invoices/draft.ts';
import { instant } from '../invoices/scope.ts';
import { exact, fixed } from '../pricing/exact.ts';

/** What was billed for one thing, and what it comes to now: amounts of the currency. */
export interface ComparedLine {
  description: string;
  model?: string;
  token_type?: string;
  /** Of which cycle, where it is not the invoice's own. */
  cycle_start?: string;
  billed: string;
  now: string;
  difference: string;
}

type Line = Pick<InvoiceDocument['lines'][number], 'kind' | 'description' | 'amount' | 'model' | 'token_type'>;

/**
 * The lines of an invoice beside those of today. A price may have come to hold from another instant, and a plan may have other tiers: so
 * what belongs together is all of one cycle, model and type of token, else of one kind. Lines about other invoices are left out.
 */
export function comparedLines({ lines }: InvoiceDocument, today: DraftLine[], digits: number): ComparedLine[] {
  const found = new Map<string, { line: Line; cycle: string | undefined; billed: bigint; now: bigint }>();
  const add = (line: Line, cycle: string | undefined, side: 'billed' | 'now') => {
    const key = JSON.stringify([line.kind, cycle, line.model, line.token_type]);
    const one = found.get(key) ?? { line, cycle, billed: 0n, now: 0n };
    one[side] += exact(line.amount);
    found.set(key, one);
  };
  for (const line of lines) if (line.kind !== 'reprice') add(line, line.cycle?.start, 'billed');
  for (const line of today) add(line, line.adjustment ? instant(line.cycle.start) : undefined, 'now');
  return [...found.values()].map(({ billed, cycle, line, now }) => ({
    description: line.description,
    ...(line.model !== undefined && { model: line.model }),
    ...(line.token_type !== undefined && { token_type: line.token_type }),
    ...(cycle !== undefined && { cycle_start: cycle }),
    billed: fixed(billed, digits),
    now: fixed(now, digits),
    difference: fixed(now - billed, digits),
  }));
}
