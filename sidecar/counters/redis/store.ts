import type { Clock } from '../../../runtime/clock.ts';
import type { ApiKey } from '../../../schemas/api-key.ts';
import type { Limit, Plan } from '../../../schemas/policy-io.ts';
import type {
  ApiKeyChange,
  ApiKeyChanged,
  ApiKeyPageRequest,
  ApiKeyPublication,
  ApiKeys,
  AuditEntry,
} from '../api-keys.ts';
import type { BudgetGrant, BudgetGrants } from '../budget-grant.ts';
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
import { partitionKeys } from '../keys.ts';
import type { ModelHealth, ProviderHealth, ProviderOutcome, ProviderRules } from '../provider-health.ts';
import { ApiKeyPartitions } from './api-key-partitions.ts';
import type { Connection } from './connection.ts';
import { Partition } from './partition.ts';
import type { Scripts } from './scripts.ts';

/** A single Redis has one partition. */
const PARTITION = 0;

/** The counters in one Redis, or in Upstash. */
export class RedisStore implements CounterStore {
  readonly #partition: Partition;
  readonly #apiKeys: ApiKeyPartitions;

  constructor(connection: Connection, scripts: Scripts, clock: Clock, settings: CounterSettings) {
    const { maxRecords } = settings;
    const keys = partitionKeys(PARTITION);
    this.#partition = new Partition({ connection, scripts, keys, clock, settings, maxRecords: () => maxRecords });
    this.#apiKeys = new ApiKeyPartitions([this.#partition.apiKeys], () => PARTITION);
  }

  partitionOf(): number {
    return PARTITION;
  }

  take(request: TakeRequest): Promise<TakeResult> {
    return this.#partition.take(request);
  }

  owe(owed: Owed): Promise<OweResult> {
    return this.#partition.owe(owed);
  }

  peek(plan: Plan, tenantId: string) {
    return this.#partition.peek(plan, tenantId);
  }

  async settle(request: SettleRequest): Promise<SettleResult> {
    const { events: _, ...result } = await this.#partition.settle(request);
    return result;
  }

  async expire(limit: number): Promise<number> {
    const { due } = await this.#partition.due(limit);
    return this.#partition.expire(due);
  }

  record(decisionId: string): Promise<DecisionRecord | undefined> {
    return this.#partition.record(decisionId);
  }

  deny(denial: Denial): Promise<void> {
    return this.#partition.deny(denial);
  }

  setGate(gate: Gate, closedUntil: number | undefined): Promise<void> {
    return this.#partition.setGate(gate, closedUntil);
  }

  grantBudget(grant: BudgetGrant): Promise<{ at: number; replayed: boolean }> {
    return this.#partition.budgetGrants.grant(grant);
  }

  revokeGrant(id: string, by: string): Promise<boolean> {
    return this.#partition.budgetGrants.revoke(id, by);
  }

  budgetGrants(version: string | undefined): Promise<BudgetGrants | undefined> {
    return this.#partition.budgetGrants.live(version);
  }

  providerOutcome(outcome: ProviderOutcome, rules: ProviderRules): Promise<ModelHealth> {
    return this.#partition.providers.outcome(outcome, rules);
  }

  providerHealth(account: string): Promise<ProviderHealth> {
    return this.#partition.providers.health(account);
  }

  raiseUsed(limit: Limit, remaining: number): Promise<number> {
    return this.#partition.providers.raise(limit, remaining);
  }

  audit(entry: AuditEntry): Promise<void> {
    return this.#partition.audit(entry);
  }

  apiKey(id: string): Promise<ApiKey | undefined> {
    return this.#apiKeys.apiKey(id);
  }

  changeApiKeys(change: ApiKeyChange): Promise<ApiKeyChanged> {
    return this.#apiKeys.changeApiKeys(change);
  }

  apiKeys(page: ApiKeyPageRequest): Promise<ApiKeys> {
    return this.#apiKeys.apiKeys(page);
  }

  noteApiKeysUsed(uses: ReadonlyMap<string, number>): Promise<void> {
    return this.#apiKeys.noteApiKeysUsed(uses);
  }

  apiKeysLastUsed(ids: readonly string[]): Promise<Map<string, number>> {
    return this.#apiKeys.apiKeysLastUsed(ids);
  }

  partitionsWithoutApiKeys(): Promise<number[]> {
    return this.#apiKeys.partitionsWithoutApiKeys();
  }

  publishApiKeys(publication: ApiKeyPublication): Promise<void> {
    return this.#apiKeys.publishApiKeys(publication);
  }

  ping(): Promise<void> {
    return this.#partition.ping();
  }

  close(): Promise<void> {
    return this.#partition.close();
  }
}
