import { minorDigits } from '../../schemas/config/currency.ts';
import type { Price } from '../../schemas/config/rate-card.ts';
import type { TokenCounts } from '../../schemas/config/token-charges.ts';
import type { Cycle } from '../cycles.ts';
import { Describe } from './describe.ts';
import { type Exact, exact, fixed, product, rounded, shown } from './exact.ts';
import type { PlanSpan } from './plan.ts';
import { formatUsd } from './pricing.ts';
import { Share } from './share.ts';
import { baseFee, bucketTokens, type Item, markup, minimum, modelTokens } from './span-items.ts';

export type { TokenCounts };

/** What was used in one span of a plan and not billed before. May be negative: corrections. */
export interface SpanUsage {
  /** That the usage belongs to; one before the invoice's own: an adjustment. */
  cycle: Cycle;
  span: PlanSpan;
  /** Bucket tokens of this cycle and span on earlier invoices, for included tokens and tiers. */
  billedBefore: bigint;
  /** By the price per token that is stamped on the events. */
  bucket: { pricePerToken: string; tokens: bigint; requests: bigint }[];
  /** By the id of the model and the start of its price. */
  models: { model: string; priceFrom: number; price: Price; usage: TokenCounts }[];
}

export interface InvoiceLine extends Item {
  adjustment: boolean;
  cycle: Cycle;
  plan: string | undefined;
  /** Index of the span in its cycle. */
  span: number;
  /** `quantity × unit_price / per`, a decimal of at most 24 places. */
  exact_amount: string;
  /** The same, rounded once to the currency's minor unit, half away from zero. */
  amount: string;
}

export interface InvoiceOf {
  cycle: Cycle;
  /** Of the cycle, as `planSpans` gives them. */
  spans: PlanSpan[];
  /** Each cycle and span once. */
  usage: SpanUsage[];
  /** Whose dates are in the descriptions. UTC if left out. */
  timezone?: string;
}

/**
 * The lines of an invoice, and their sum. A plan that holds for a part of the cycle has that part, in milliseconds, of its base
 * fee and minimum (to 12 places, half up) and of its included tokens and tiers' bounds (rounded down to whole tokens); prices
 * and markup are not prorated. Base fee and minimum are of the invoice's own cycle alone. The minimum of a span, rounded,
 * is compared with the sum of its rounded lines, so that with what is missing they come to it exactly.
 *
 * Lines are in the order of spans, then adjustments by cycle and span; within a span base fee, bucket tokens, models, markup,
 * minimum. Throws RangeError for usage that has no span, is of a later cycle or given twice, and for several currencies.
 */
export function invoiceLines(invoice: InvoiceOf): { currency: string; lines: InvoiceLine[]; total: string } {
  const { spans, timezone = 'UTC', usage } = invoice;
  const currency = currencyOf([...spans, ...usage.map(({ span }) => span)]);
  const digits = minorDigits(currency);
  const describe = new Describe(timezone);
  const lines = partsOf(invoice).flatMap((part) => linesOf(part, digits, describe));
  const total = lines.reduce((sum, { amount }) => sum + exact(amount), 0n);
  return { currency, lines, total: fixed(total, digits) };
}

/** One span, with what was used in it. */
interface Part {
  adjustment: boolean;
  cycle: Cycle;
  span: PlanSpan;
  usage: SpanUsage | undefined;
}

function partsOf({ cycle, spans, usage }: InvoiceOf): Part[] {
  const byPlace = new Map<string, SpanUsage>();
  for (const one of usage) {
    if (byPlace.has(place(one.cycle, one.span))) throw new RangeError(`usage is given twice for ${placed(one)}`);
    if (one.cycle.start > cycle.start) throw new RangeError(`usage is of a later cycle: ${placed(one)}`);
    byPlace.set(place(one.cycle, one.span), one);
  }
  const own = spans
    .toSorted((a, b) => a.index - b.index)
    .map((span): Part => ({ adjustment: false, cycle, span, usage: byPlace.get(place(cycle, span)) }));
  const places = new Set(own.map(({ span }) => place(cycle, span)));
  const others = usage.filter((one) => !places.has(place(one.cycle, one.span)));
  const lost = others.find((one) => one.cycle.start === cycle.start);
  if (lost) throw new RangeError(`there is no span for the usage of ${placed(lost)}`);
  const adjustments = others
    .toSorted((a, b) => a.cycle.start - b.cycle.start || a.span.index - b.span.index)
    .map((one): Part => ({ adjustment: true, cycle: one.cycle, span: one.span, usage: one }));
  return [...own, ...adjustments];
}

const place = ({ start }: Cycle, { index }: PlanSpan) => `${start} ${index}`;
const placed = ({ cycle, span }: SpanUsage) =>
  `span ${span.index} of the cycle from ${new Date(cycle.start).toISOString()}`;

function linesOf(part: Part, digits: number, describe: Describe): InvoiceLine[] {
  const { adjustment, cycle, span, usage } = part;
  const share = new Share(span, cycle);
  const models = usage && span.plan.rate_card ? modelTokens(usage, describe) : [];
  const items = [
    ...(adjustment ? [] : baseFee(span, share)),
    ...(usage ? bucketTokens(usage, share) : []),
    ...models,
    ...markup(span.plan, sum(models.map(exactAmount))),
  ];
  const lines = items.map((item) => lineOf(item, part, digits, describe));
  if (adjustment) return lines;
  const billed = sum(lines.map(({ amount }) => exact(amount)));
  const missing = minimum(span, share, (least) => rounded(least, digits) - billed);
  return [...lines, ...missing.map((item) => lineOf(item, part, digits, describe))];
}

function lineOf(item: Item, { adjustment, cycle, span }: Part, digits: number, describe: Describe): InvoiceLine {
  const amount = exactAmount(item);
  const ofCycle = adjustment ? `Adjustment for ${describe.cycle(cycle)}: ` : '';
  const ofSpan = new Share(span, cycle).isWhole ? '' : `, ${describe.range(span.from, span.to)}`;
  return {
    ...item,
    unit_price: formatUsd(item.unit_price),
    description: `${ofCycle}${item.description}${ofSpan}`,
    adjustment,
    cycle,
    plan: span.name,
    span: span.index,
    exact_amount: shown(amount),
    amount: fixed(rounded(amount, digits), digits),
  };
}

const exactAmount = ({ per, quantity, unit_price }: Item): Exact => product(quantity, unit_price, per);

const sum = (amounts: Exact[]): Exact => amounts.reduce((total, amount) => total + amount, 0n);

function currencyOf(spans: PlanSpan[]): string {
  const currencies = [...new Set(spans.map(({ plan }) => plan.currency))];
  if (currencies.length > 1) throw new RangeError(`an invoice is in one currency, not in ${currencies.join(' and ')}`);
  return currencies[0] ?? 'USD';
}
