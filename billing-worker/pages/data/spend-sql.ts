import { rateCardOf } from '../../../schemas/config/rate-card.ts';
import { billingCycleOf, type Cycle, dayAt } from '../../cycles.ts';
import type { Terms } from '../../invoices/scope.ts';
import { planSpans } from '../../pricing/plan.ts';

/**
 * What usage costs at its price: LLM tokens by the rate card where the plan says so, with its markup, and the bucket's tokens. Fees, included
 * tokens, tiers and minimums are of a whole invoice and not in it. To the day: a price that changes within one is taken from its beginning.
 *
 * To be joined to `usage_rollups r`; `plans` and `prices` are parameters, as `spendParameters` gives them.
 */
export const spendJoins = (plans: string, prices: string): string => `
left join json_to_recordset(${plans}::text::json)
  as plan(tenant_id text, "from" date, "to" date, card boolean, factor numeric, bucket_price numeric)
  on plan.tenant_id = r.tenant_id and r.day >= plan."from" and r.day < plan."to"
left join json_to_recordset(${prices}::text::json)
  as price(model text, "from" date, "to" date, input numeric, output numeric, cache_read numeric, cache_write numeric, reasoning numeric)
  on plan.card and price.model = r.model and r.day >= price."from" and r.day < price."to"`;

/** One rollup's spend, as `numeric`. */
export const SPEND = `(
  case when plan.bucket_price is not null then r.tokens * plan.bucket_price when plan.card then 0 else r.cost_usd end
  + coalesce(plan.factor, 1) * coalesce(
      r.input_tokens * price.input + r.output_tokens * price.output + r.cache_read_tokens * price.cache_read
      + r.cache_write_tokens * price.cache_write + r.reasoning_tokens * price.reasoning, 0) / 1000000)`;

/** The plans of tenants, where they have any, and the prices of models, by days. */
export function spendParameters(
  asked: { tenants: readonly string[]; models: readonly string[] },
  span: Cycle,
  terms: Terms,
): [plans: string, prices: string] {
  const plans = asked.tenants.flatMap((tenantId) => plansOf(tenantId, span, terms));
  return [JSON.stringify(plans), JSON.stringify(asked.models.flatMap((model) => pricesOf(model, terms)))];
}

function plansOf(tenantId: string, span: Cycle, { tenants }: Terms) {
  const { timezone } = billingCycleOf(tenants, tenantId);
  const spans = planSpans(tenants, tenantId, span).filter(({ name }) => name !== undefined);
  return spans.map(({ from, plan, to }, i) => ({
    tenant_id: tenantId,
    from: i === 0 ? '-infinity' : dayAt(from, timezone).date,
    to: i === spans.length - 1 ? 'infinity' : dayAt(to, timezone).date,
    card: plan.rate_card,
    factor: String(1 + Number(plan.markup_percent ?? 0) / 100),
    bucket_price: plan.price_per_token ?? null,
  }));
}

function pricesOf(model: string, { models }: Terms) {
  return rateCardOf(models)
    .spans(model)
    .filter(({ price }) => price !== undefined)
    .map(({ from, price, to }) => ({
      model,
      from: from === Number.MIN_SAFE_INTEGER ? '-infinity' : dayOf(from),
      to: to === Number.MAX_SAFE_INTEGER ? 'infinity' : dayOf(to),
      ...price,
      // Reasoning is in the output: with a price of its own it costs the difference.
      reasoning: price?.reasoning === undefined ? '0' : String(Number(price.reasoning) - Number(price.output)),
    }));
}

const dayOf = (instant: number) => new Date(instant).toISOString().slice(0, 10);
