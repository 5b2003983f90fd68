import type { Clock } from '../../../runtime/clock.ts';
import type { ApiKey } from '../../../schemas/api-key.ts';
import type { Limit, Outcome, Plan } from '../../../schemas/policy-io.ts';
import {
  type ApiKeyChange,
  type ApiKeyChanged,
  type ApiKeyPageRequest,
  type ApiKeyPublication,
  type ApiKeys,
  type AuditEntry,
  MAX_API_KEYS,
} from '../api-keys.ts';
import { type BudgetGrant, type BudgetGrants, MAX_BUDGET_GRANTS } from '../budget-grant.ts';
import type {
  CounterSettings,
  CounterStore,
  DecisionRecord,
  Denial,
  Gate,
  Owed,
  OweResult,
  SettleRequest,
  SettleResult,
  TakeRequest,
  TakeResult,
} from '../contract.ts';
import type { ModelHealth, ProviderHealth, ProviderOutcome, ProviderRules } from '../provider-health.ts';
import {
  apiKeyUses,
  decideApiKeyChange,
  decideApiKeyDrop,
  decideApiKeyPublication,
  decideApiKeyUses,
  decideAudit,
  keptApiKey,
  listApiKeys,
  unpublished,
} from './api-keys.ts';
import { decideBudgetGrant, decideRevocation, liveBudgetGrants } from './budget-grants.ts';
import type { Decided, Effect } from './effect.ts';
import { decideExpiry } from './expire.ts';
import { KEYS } from './look.ts';
import { decideOwed } from './owe.ts';
import { decideProviderOutcome, decideRaise, knownHealth } from './provider-health.ts';
import { decideSettle } from './settle.ts';
import type { State } from './state.ts';
import { decidePeek, decideTake, liveRecord } from './take.ts';
import { decideDenial } from './usage-event.ts';

export interface StoreOptions {
  state: State;
  clock: Clock;
  settings: CounterSettings;
  /** Changes the state, and resolves when that and everything before it is written; without an effect it only waits. */
  commit(effect?: Effect): Promise<void>;
  /** Drops some of what time has made meaningless. */
  sweep(now: number): void;
  /** Throws `CountersUnavailable` if nothing can be written any more. */
  check(): void;
  onClose(): Promise<void>;
}

/**
 * The counters in this process. Each step is decided and applied at once, in the order of arrival, so that no two can be
 * in each other's way, and is answered when it is in the journal: an answer never rests on what a crash could undo.
 */
export class EmbeddedStore implements CounterStore {
  readonly #options: StoreOptions;

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  partitionOf(): number {
    return 0;
  }

  take(request: TakeRequest): Promise<TakeResult> {
    return this.#step((state, now) => decideTake(state, request, this.#options.settings, now));
  }

  owe(owed: Owed): Promise<OweResult> {
    return this.#step((state, now) => decideOwed(state, owed, this.#options.settings, now));
  }

  peek(plan: Plan, tenantId: string): Promise<{ outcome: Outcome; at: number }> {
    return this.#step((state, now) => ({ answer: { outcome: decidePeek(state, plan, tenantId, now), at: now } }));
  }

  settle(request: SettleRequest): Promise<SettleResult> {
    return this.#step((state, now) => decideSettle(state, request, now));
  }

  record(decisionId: string): Promise<DecisionRecord | undefined> {
    return this.#step((state, now) => ({ answer: decisionRecord(state, decisionId, now) }));
  }

  async expire(limit: number): Promise<number> {
    let marked = 0;
    while (marked < limit && (await this.#step(decideExpiry))) marked += 1;
    return marked;
  }

  deny(denial: Denial): Promise<void> {
    return this.#step((state, now) => decideDenial(state, denial, now));
  }

  setGate(gate: Gate, closedUntil: number | undefined): Promise<void> {
    return this.#step(() => ({ answer: undefined, effect: { gate: [KEYS.gate(gate), closedUntil ?? null] } }));
  }

  grantBudget(grant: BudgetGrant): Promise<{ at: number; replayed: boolean }> {
    const most = this.#options.settings.maxBudgetGrants ?? MAX_BUDGET_GRANTS;
    return this.#step((state, now) => decideBudgetGrant(state, grant, most, now));
  }

  revokeGrant(id: string, by: string): Promise<boolean> {
    return this.#step((state, now) => decideRevocation(state, id, by, now));
  }

  budgetGrants(version: string | undefined): Promise<BudgetGrants | undefined> {
    return this.#step((state, now) => ({ answer: liveBudgetGrants(state, version, now) }));
  }

  providerOutcome(outcome: ProviderOutcome, rules: ProviderRules): Promise<ModelHealth> {
    return this.#step((state, now) => decideProviderOutcome(state, outcome, rules, now));
  }

  providerHealth(account: string): Promise<ProviderHealth> {
    return this.#step((state, now) => ({ answer: knownHealth(state, account, now) }));
  }

  raiseUsed(limit: Limit, remaining: number): Promise<number> {
    return this.#step((state, now) => decideRaise(state, limit, remaining, now));
  }

  audit(entry: AuditEntry): Promise<void> {
    return this.#step((state, now) => decideAudit(state, entry, now));
  }

  apiKey(id: string): Promise<ApiKey | undefined> {
    return this.#step((state) => ({ answer: keptApiKey(state, id) }));
  }

  async changeApiKeys(change: ApiKeyChange): Promise<ApiKeyChanged> {
    const { maxApiKeys: most = MAX_API_KEYS } = this.#options.settings;
    const step = () => this.#step((state, now) => decideApiKeyChange(state, change, most, now));
    const changed = await step();
    if (changed !== 'full') return changed;
    await this.#step(decideApiKeyDrop);
    return step();
  }

  apiKeys(page: ApiKeyPageRequest): Promise<ApiKeys> {
    return this.#step((state) => ({ answer: listApiKeys(state, page) }));
  }

  noteApiKeysUsed(uses: ReadonlyMap<string, number>): Promise<void> {
    return this.#step((state) => decideApiKeyUses(state, uses));
  }

  apiKeysLastUsed(ids: readonly string[]): Promise<Map<string, number>> {
    return this.#step((state) => ({ answer: apiKeyUses(state, ids) }));
  }

  partitionsWithoutApiKeys(): Promise<number[]> {
    return this.#step((state) => ({ answer: unpublished(state) }));
  }

  publishApiKeys(publication: ApiKeyPublication): Promise<void> {
    return this.#step((state) => decideApiKeyPublication(state, publication));
  }

  async ping(): Promise<void> {
    this.#options.check();
  }

  close(): Promise<void> {
    return this.#options.onClose();
  }

  async #step<Answer>(decide: (state: State, now: number) => Decided<Answer>): Promise<Answer> {
    const { check, clock, commit, state, sweep } = this.#options;
    check();
    const now = clock.now();
    sweep(now);
    const { answer, effect } = decide(state, now);
    await commit(effect);
    return answer;
  }
}

function decisionRecord(state: State, decisionId: string, now: number): DecisionRecord | undefined {
  const record = liveRecord(state, decisionId, now);
  if (!record) return undefined;
  const { decidedAt, event, outcome } = record;
  return {
    decisionId,
    tenantId: event.tenant_id,
    state: record.state,
    policyRevision: event.policy_revision,
    outcome,
    decidedAt,
  };
}
