import type { Config } from '../../runtime/config/files.ts';
import { accountOf, type ProviderAccount } from '../../schemas/config/providers.ts';
import type { LimitOutcome, Limit as RuleOf } from '../../schemas/policy-io.ts';
import type { CounterStore } from '../counters/contract.ts';
import type { ModelHealth } from '../counters/provider-health.ts';
import { windowSeconds } from '../decision/window-seconds.ts';
import { modelId } from './model-id.ts';
import { providerLimits } from './provider-limits.ts';

export interface ProviderStatusDeps {
  store: Pick<CounterStore, 'peek' | 'providerHealth'>;
  config: () => Config;
}

/**
 * `available`; `cooldown` after a rate limit, by the provider's word or ours; `quota_exhausted`: a limit is used up, which one and until
 * when it says; `circuit_open` after failures in a row; `half_open`: one call at a time tries it.
 */
type ModelState = 'available' | 'cooldown' | 'quota_exhausted' | 'circuit_open' | 'half_open';

interface ModelStatus {
  model: string;
  state: ModelState;
  /** RFC 3339. */
  until?: string;
  why?: string;
  /** The how-manieth time in a row. */
  nth?: number;
}

interface LimitStatus {
  id: string;
  unit: string;
  /** Seconds in which it is whole again. */
  window_s: number | undefined;
  capacity: number;
  used: number;
  remaining: number;
  reset_at: string;
}

export interface AccountStatus {
  account: string;
  provider: string;
  tier?: string;
  models: ModelStatus[];
  limits: LimitStatus[];
}

const instant = (ms: number) => new Date(ms).toISOString();

/** Every account of `providers.yaml`, with the models that it serves as far as the configuration names them or something is known of them. */
export async function providerStatus({ config, store }: ProviderStatusDeps): Promise<AccountStatus[]> {
  const { models, providers } = config();
  return Promise.all(
    Object.entries(providers.accounts).map(async ([name, account]) => {
      const { at, models: known } = await store.providerHealth(name);
      const served = [...new Set([...servedBy(name, config()), ...known.keys()])].toSorted();
      const limits = await limitsOf(store, name, account, served);
      const usedUp = (model: string) =>
        limits.filter(({ limit, of }) => (of === undefined || of === modelId(model, models)) && limit.remaining === 0);
      return {
        account: name,
        provider: account.provider,
        ...(account.tier !== undefined && { tier: account.tier }),
        models: served.map((model) => ({
          model,
          ...stateOf(
            known.get(model),
            usedUp(model).map(({ limit }) => limit),
            at,
          ),
        })),
        limits: limits.map(({ limit }) => limit),
      };
    }),
  );
}

/** What the rate card and the fallback chains name. */
function servedBy(account: string, { models, providers }: Config): string[] {
  const chains = Object.entries(providers.models).flatMap(([id, { fallback }]) => [id, ...(fallback?.models ?? [])]);
  const named = [...Object.keys(models.models), ...chains].filter((model) => !model.endsWith('*'));
  return named.filter((model) => accountOf(model, providers)?.name === account).map((model) => modelId(model, models));
}

interface Known {
  limit: LimitStatus;
  /** The model that has it for itself. */
  of: string | undefined;
}

async function limitsOf(
  store: ProviderStatusDeps['store'],
  name: string,
  account: ProviderAccount,
  served: readonly string[],
): Promise<Known[]> {
  const models = account.per === 'model' ? served : [''];
  const found = await Promise.all(
    models.map(async (model) => {
      const rules = providerLimits({ account, model, name });
      if (rules.length === 0) return [];
      const { outcome } = await store.peek({ limits: rules, candidates: [], raw_counters: true }, '');
      return outcome.limits.map((limit) => ({
        limit: limitStatus(
          limit,
          rules.find(({ id }) => id === limit.id),
        ),
        of: model === '' ? undefined : model,
      }));
    }),
  );
  return found.flat();
}

const limitStatus = (
  { capacity, id, remaining, reset_at, used }: LimitOutcome,
  rule: RuleOf | undefined,
): LimitStatus => ({
  id,
  unit: rule?.counts ?? rule?.unit ?? '',
  window_s: rule && windowSeconds(rule),
  capacity,
  used,
  remaining,
  reset_at: instant(reset_at),
});

const HOW: Record<string, string> = {
  retry_after: 'rate limited: the provider said how long to wait',
  backoff: 'rate limited: backing off',
  quota: 'the provider says that a quota is used up',
};

/** What keeps it out the longest is said first: an open circuit, a quota, a cooldown; then a limit of ours that is used up. */
function stateOf(health: ModelHealth = { v: 1 }, usedUp: LimitStatus[], now: number): Omit<ModelStatus, 'model'> {
  const { limited, limited_by = '', limited_until = 0, open_until, opens } = health;
  if (open_until !== undefined && now < open_until) {
    return {
      state: 'circuit_open',
      until: instant(open_until),
      why: 'failures in a row',
      ...(opens && { nth: opens }),
    };
  }
  if (now < limited_until) {
    return {
      state: limited_by === 'quota' ? 'quota_exhausted' : 'cooldown',
      until: instant(limited_until),
      why: HOW[limited_by] ?? limited_by,
      ...(limited && { nth: limited }),
    };
  }
  const [short] = usedUp.toSorted((a, b) => b.reset_at.localeCompare(a.reset_at));
  if (short) return { state: 'quota_exhausted', until: short.reset_at, why: `${short.id} is used up` };
  if (open_until !== undefined)
    return { state: 'half_open', why: 'one call at a time tries it', ...(opens && { nth: opens }) };
  return { state: 'available' };
}
