import { LRUCache } from 'lru-cache';
import type { Clock } from '../../../runtime/clock.ts';
import type { ApiKey } from '../../../schemas/api-key.ts';
import type { Limit, Plan } from '../../../schemas/policy-io.ts';
import { CLUSTER_PARTITIONS } from '../../../schemas/usage-stream.ts';
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
import { accountKeys, accountOf, type PartitionKeys, partitionKeys, partitionOf } from '../keys.ts';
import type { ModelHealth, ProviderHealth, ProviderOutcome, ProviderRules } from '../provider-health.ts';
import { ApiKeyPartitions } from '../redis/api-key-partitions.ts';
import type { BudgetGrantCalls } from '../redis/budget-grants.ts';
import type { ClusterConnection } from '../redis/cluster-connection.ts';
import type { Connection } from '../redis/connection.ts';
import { Partition } from '../redis/partition.ts';
import { accountOfLimit } from '../redis/providers.ts';
import type { Scripts } from '../redis/scripts.ts';
import { expireHolds } from './expire-holds.ts';
import { RecordShare } from './record-share.ts';
import { oweShared } from './shared-owe.ts';
import { peekShared } from './shared-peek.ts';
import { settleShared } from './shared-settle.ts';
import { SharedTake } from './shared-take.ts';
import { splitPlan } from './split-plan.ts';

export interface ClusterStoreDeps {
  connection: ClusterConnection;
  scripts: Scripts;
  clock: Clock;
  settings: CounterSettings;
  /** Puts a breaker, and whatever else, around the connection of one partition. */
  guarded?: (connection: Connection, partition: string) => Connection;
  /** Throws `CountersUnavailable` while one of the servers must not be used. */
  assertFit?: () => void;
}

/** Accounts are as many as the policies name; the least used are forgotten, and cost only their clock to know again. */
const MAX_ACCOUNTS = 1_000;

/** The counters in a Redis Cluster: a tenant is in one of 64 partitions, a provider account in one of its own. */
export class ClusterStore implements CounterStore {
  readonly #deps: ClusterStoreDeps;
  readonly #partitions: Partition[];
  readonly #apiKeys: ApiKeyPartitions;
  readonly #accounts: LRUCache<string, Partition>;
  readonly #share: RecordShare;

  constructor(deps: ClusterStoreDeps) {
    this.#deps = deps;
    this.#share = new RecordShare(deps.settings.maxRecords);
    this.#partitions = Array.from({ length: CLUSTER_PARTITIONS }, (_, n) => this.#open(`p${n}`, partitionKeys(n)));
    this.#apiKeys = new ApiKeyPartitions(
      this.#partitions.map(({ apiKeys }) => apiKeys),
      (tenantId) => this.partitionOf(tenantId),
    );
    this.#accounts = new LRUCache({
      max: MAX_ACCOUNTS,
      memoMethod: (account) => this.#open(`account ${account}`, accountKeys(account)),
    });
  }

  #open(name: string, keys: PartitionKeys): Partition {
    const { clock, connection, guarded = (same) => same, scripts, settings } = this.#deps;
    return new Partition({
      connection: guarded(connection.at(keys.stream), name),
      scripts,
      keys,
      clock,
      settings,
      maxRecords: () => this.#share.maxOf(name),
      clustered: true,
    });
  }

  partitionOf(tenantId: string): number {
    return partitionOf(tenantId, CLUSTER_PARTITIONS);
  }

  take(request: TakeRequest): Promise<TakeResult> {
    const own = this.#ownOf(request.event.tenant_id);
    const groups = splitPlan(request.plan);
    if (groups.every(({ account }) => account === undefined)) return own.take(request);
    const { clock, settings } = this.#deps;
    return new SharedTake({ own, account: this.#account, clock, timeoutMs: settings.timeoutMs }, request, groups).run();
  }

  owe(owed: Owed): Promise<OweResult> {
    return oweShared({ own: this.#ownOf(owed.event.tenant_id), account: this.#account }, owed);
  }

  peek(plan: Plan, tenantId: string) {
    return peekShared({ own: this.#ownOf(tenantId), account: this.#account }, plan, tenantId);
  }

  async settle(request: SettleRequest): Promise<SettleResult> {
    const own = this.#ofDecision(request.decisionId);
    return own ? settleShared({ own, account: this.#account }, request) : { kind: 'unknown' };
  }

  /** Every partition is looked at, whatever comes of the others; then the first failure is thrown. */
  async expire(limit: number): Promise<number> {
    let left = limit;
    const sweep = async (partition: Partition, name: string): Promise<number> => {
      const { due, records } = await partition.due(left);
      this.#share.learn(name, records);
      const mine = due.slice(0, left);
      left -= mine.length;
      return partition.expire(mine);
    };
    const holds = async (partition: Partition, account: string): Promise<number> => {
      const records = await expireHolds(partition, limit, (decisionId) => this.#ofDecision(decisionId));
      this.#share.learn(`account ${account}`, records);
      return 0;
    };
    const swept = await Promise.allSettled([
      ...this.#partitions.map((partition, n) => sweep(partition, `p${n}`)),
      ...[...this.#accounts.entries()].map(([account, partition]) => holds(partition, account)),
    ]);
    const failed = swept.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    return swept.reduce((sum, result) => sum + (result.status === 'fulfilled' ? result.value : 0), 0);
  }

  async record(decisionId: string): Promise<DecisionRecord | undefined> {
    return this.#ofDecision(decisionId)?.record(decisionId);
  }

  deny(denial: Denial): Promise<void> {
    return this.#ownOf(denial.event.tenant_id).deny(denial);
  }

  setGate(gate: Gate, closedUntil: number | undefined): Promise<void> {
    const account = accountOf(gate.scope);
    const partition = account === undefined ? this.#ownOf(gate.tenantId) : this.#account(account);
    return partition.setGate(gate, closedUntil);
  }

  grantBudget(grant: BudgetGrant): Promise<{ at: number; replayed: boolean }> {
    return this.#budgetGrants.grant(grant);
  }

  revokeGrant(id: string, by: string): Promise<boolean> {
    return this.#budgetGrants.revoke(id, by);
  }

  budgetGrants(version: string | undefined): Promise<BudgetGrants | undefined> {
    return this.#budgetGrants.live(version);
  }

  providerOutcome(outcome: ProviderOutcome, rules: ProviderRules): Promise<ModelHealth> {
    return this.#account(outcome.account).providers.outcome(outcome, rules);
  }

  providerHealth(account: string): Promise<ProviderHealth> {
    return this.#account(account).providers.health(account);
  }

  async raiseUsed(limit: Limit, remaining: number): Promise<number> {
    return this.#account(accountOfLimit(limit)).providers.raise(limit, remaining);
  }

  audit(entry: AuditEntry): Promise<void> {
    const { tenant_id } = entry;
    const partition = tenant_id === undefined ? this.#partitions[0] : this.#ownOf(tenant_id);
    return (partition as Partition).audit(entry);
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

  async ping(): Promise<void> {
    this.#deps.assertFit?.();
    await Promise.all(this.#partitions.map((partition) => partition.ping()));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#partitions, ...this.#accounts.values()].map((partition) => partition.close()));
    await this.#deps.connection.close();
  }

  /** Those of all tenants are in the first partition. */
  get #budgetGrants(): BudgetGrantCalls {
    return (this.#partitions[0] as Partition).budgetGrants;
  }

  readonly #account = (account: string): Partition => this.#accounts.memo(account);

  #ownOf(tenantId: string): Partition {
    return this.#partitions[this.partitionOf(tenantId)] as Partition;
  }

  /** A decision id ends with the number of its partition; undefined for what is no id of ours. */
  #ofDecision(decisionId: string): Partition | undefined {
    const [, number] = /\.(0|[1-9]\d?)$/.exec(decisionId) ?? [];
    return number === undefined ? undefined : this.#partitions[Number(number)];
  }
}
