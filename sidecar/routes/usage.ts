import { createHash } from 'node:crypto';
import { Hono } from 'hono';
import type { Clock } from '../../runtime/clock.ts';
import type { Config } from '../../runtime/config/files.ts';
import type { ModelsConfig } from '../../schemas/config/models.ts';
import { wireError } from '../../schemas/errors.ts';
import { type UsageReport, usageReportSchema } from '../../schemas/usage-report.ts';
import type { Actual, CounterStore, SettleRequest, SettleResult } from '../counters/contract.ts';
import type { OwedJournal } from '../decision/owed/journal.ts';
import { nanosOf } from '../decision/price.ts';
import type { IdentifiedEnv } from '../identity/authenticate.ts';
import type { Identity } from '../identity/identity.ts';
import type { UsageReports } from '../metrics/usage-reports.ts';
import type { DecisionMetrics } from '../metrics.ts';
import { noticesOfReport } from '../notices/notice.ts';
import type { Notices } from '../notices/notices.ts';
import { canonical } from '../policy/canonical.ts';
import { callOutcome } from '../providers/call-outcome.ts';
import type { ProviderReports } from '../providers/provider-reports.ts';
import type { Shadow } from '../shadow/shadow.ts';
import { readText } from './body.ts';
import { parseAny, requireExactNumbers } from './json.ts';
import { Refusal } from './refusal.ts';
import { unknownDecision } from './unknown-decision.ts';
import { wrongBody } from './wrong-body.ts';

export interface UsageDeps {
  store: CounterStore;
  owed: OwedJournal;
  /** Undefined: no second policy is compared with the one in force. */
  shadow: Shadow | undefined;
  /** Undefined: no admin is told of anything. */
  notices: Notices | undefined;
  providerReports: Pick<ProviderReports, 'note'>;
  metrics: Pick<DecisionMetrics, 'limits'>;
  usageReports: Pick<UsageReports, 'note'>;
  clock: Clock;
  config: () => Config;
  maxBodyBytes: number;
}

/**
 * `POST /v1/usage`: what a decided call really used. Settles the reservation with it, or voids a call that used nothing.
 * The same report again gets the same answer.
 */
export function usageRoutes({
  clock,
  config,
  maxBodyBytes,
  metrics,
  notices,
  owed,
  providerReports,
  shadow,
  store,
  usageReports,
}: UsageDeps): Hono<IdentifiedEnv> {
  const app = new Hono<IdentifiedEnv>();
  app.post('/v1/usage', async (c) => {
    const text = await readText(c, { maxBytes: maxBodyBytes, status: 413 });
    const parsed = usageReportSchema.safeParse(parseAny(text, 'body'));
    if (!parsed.success) throw wrongBody(parsed.error);
    // After the shape: that names the field whose amount is too large.
    requireExactNumbers(text, 'body');
    const report = ofTenant(parsed.data, c.get('identity'));
    // The counters do not know of it yet, and will within about a second of their return.
    if (isOwed(owed, report)) return c.json(wireError('internal_error', NOT_CHARGED), 503, { 'Retry-After': '1' });
    const outcome = callOutcome(report, clock.now());
    const settle: SettleRequest = {
      decisionId: owed.nameOf(report.decision_id),
      tenantId: report.tenant_id,
      kind: usedNothing(report) ? 'void' : 'settle',
      actual: actual(report, config().models, clock.now()),
      usage: report.usage,
      model: report.model,
      failure: outcome.failure,
      fingerprint: createHash('sha256').update(canonical(report)).digest('base64url'),
    };
    const result = await store.settle(settle);
    // An account is everybody's: one tenant's word does not keep the others from it.
    const isService = c.get('identity').bound.tenant_id === undefined;
    if (isService && 'decided' in result) await providerReports.note(report, result.decided, outcome);
    if ('changes' in result && !result.replayed) {
      usageReports.note(report);
      for (const { crossed, id } of result.changes) if (crossed) metrics.limits.crossed(id, crossed);
    }
    // Also of a decision that only the shadow policy took an estimate for.
    if (result.kind === 'settled' && !result.replayed) {
      const { tenant_id: tenantId = '' } = report;
      const { on_limit_exceeded: exceeded } = config().budgets.per_user_budgets;
      const isQuiet = exceeded.action === 'soft_limit' && !exceeded.soft_limit.notify_admin;
      notices?.send(noticesOfReport({ ...result, decisionId: report.decision_id, tenantId, isQuiet }));
    }
    if (result.kind !== 'conflict') shadow?.settle(settle, clock.now());
    if (result.kind === 'unknown') throw await unknownDecision(report.decision_id, { store, clock });
    return c.json(settled(report.decision_id, result));
  });
  return app;
}

/** Who is bound to a tenant reports for that one, and need not say so. */
function ofTenant(report: UsageReport, { bound }: Identity): UsageReport {
  if (bound.tenant_id === undefined || report.tenant_id === bound.tenant_id) return report;
  if (report.tenant_id === undefined) return { ...report, tenant_id: bound.tenant_id };
  const message = `tenant_id: this credential is not ${JSON.stringify(report.tenant_id)}`;
  throw new Refusal(403, 'unauthorized', message, [{ code: 'forbidden', message }]);
}

const NOT_CHARGED =
  'this decision was made while the counters were away and is not charged yet; report its usage again';

/** Whoever may speak for one tenant learns nothing of another's. */
const isOwed = (owed: OwedJournal, { decision_id, tenant_id }: UsageReport) => {
  const grant = owed.decision(decision_id);
  return grant !== undefined && (tenant_id === undefined || tenant_id === grant.tenantId);
};

/** A call that did not succeed and reports no tokens has cost nothing. */
const usedNothing = ({ outcome, usage }: UsageReport) =>
  outcome !== 'succeeded' && Object.values(usage ?? {}).every((amount) => amount === 0);

/**
 * Tokens are all that the provider counts once: reasoning is part of its output. Money is known where the report names a model
 * that has a price; elsewhere its estimate stands.
 */
function actual({ model, usage }: UsageReport, card: ModelsConfig, now: number): Actual {
  if (!usage || Object.keys(usage).length === 0) return {};
  const { cache_read = 0, cache_write = 0, input = 0, output = 0 } = usage;
  const usd = model === undefined ? undefined : nanosOf(usage, model, card, now);
  return {
    tokens: input + output + cache_read + cache_write,
    // A provider that limits the tokens of prompts counts what it reads anew, and not what it finds in its cache.
    input_tokens: input + cache_write,
    output_tokens: output,
    ...(usd !== undefined && { usd }),
  };
}

function settled(decisionId: string, result: Exclude<SettleResult, { kind: 'unknown' }>) {
  if (result.kind !== 'conflict') return { decision_id: decisionId, state: result.kind, changes: result.changes };
  throw new Refusal(
    409,
    'resource_conflict',
    `decision ${JSON.stringify(decisionId)} was ${result.state} before, with another report`,
  );
}
