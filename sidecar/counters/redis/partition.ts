import type { Plan } from '../../../schemas/policy-io.ts';
import { auditEvent } from '../api-key-checks.ts';
import { type AuditEntry, MAX_API_KEYS } from '../api-keys.ts';
import { MAX_BUDGET_GRANTS } from '../budget-grant.ts';
import {
  CountersUnavailable,
  type DecisionRecord,
  type Denial,
  type Gate,
  type Owed,
  type OweResult,
  type SettleRequest,
  type SettleResult,
  type TakeRequest,
  type TakeResult,
} from '../contract.ts';
import { ApiKeyCalls } from './api-keys.ts';
import { BudgetGrantCalls } from './budget-grants.ts';
import {
  chosenOf,
  decodeRecord,
  decodeTake,
  heldEvent,
  keysOfRecord,
  type SharedCharges,
  type StoredRecord,
  type StoredRun,
  sharedOf,
  type TakeReply,
} from './decode.ts';
import { encodeAbout, members, opened } from './encode.ts';
import { type OwnPart, type Request, runKeyOf } from './encode-decision.ts';
import { ProviderCalls } from './providers.ts';
import { receiptOf } from './receipt.ts';
import type { Scripts } from './scripts.ts';
import { TakeCalls, type TakeCallsDeps } from './take-calls.ts';

export interface PartitionDeps extends Omit<TakeCallsDeps, 'script'> {
  scripts: Scripts;
  /** On a cluster: scripts are told of every key that they touch. */
  clustered?: boolean;
}

/** Of charges that are held for another partition's event: the JSON for that. */
interface Moved {
  events?: string;
}

/** One partition of the counters: one script per step, and decisions that arrive together go in one call. */
export class Partition {
  readonly apiKeys: ApiKeyCalls;
  readonly budgetGrants: BudgetGrantCalls;
  readonly providers: ProviderCalls;
  readonly #deps: PartitionDeps;
  readonly #calls: TakeCalls;

  constructor(deps: PartitionDeps) {
    this.#deps = deps;
    const { maxApiKeys = MAX_API_KEYS, maxBudgetGrants = MAX_BUDGET_GRANTS } = deps.settings;
    this.apiKeys = new ApiKeyCalls({ ...deps, most: maxApiKeys });
    this.budgetGrants = new BudgetGrantCalls({ ...deps, most: maxBudgetGrants });
    this.providers = new ProviderCalls(deps);
    this.#calls = new TakeCalls({ ...deps, script: deps.scripts.take });
  }

  take(request: TakeRequest): Promise<TakeResult> {
    return this.#calls.together('take', request, (reply) => this.#decode(reply, request));
  }

  /** Takes, and tells which candidate. `hold`: for a decision whose event another partition appends. */
  choose(mode: 'take' | 'hold', request: TakeRequest & OwnPart): Promise<{ result: TakeResult; chosen: number }> {
    const decode = (reply: TakeReply) => ({ result: this.#decode(reply, request), chosen: chosenOf(reply) });
    return this.#calls.together(mode, request, decode);
  }

  async owe(owed: Owed & OwnPart, mode: 'owe' | 'owe_hold' = 'owe'): Promise<OweResult> {
    const decode = (reply: TakeReply) =>
      reply.words[0] === 'executed' ? { kind: 'executed' as const } : this.#decode(reply, owed);
    const result = await this.#calls.alone(mode, owed, decode);
    if (result.kind === 'refused' || result.kind === 'closed') throw new CountersUnavailable(`owe gave ${result.kind}`);
    return result;
  }

  /** `part`: what another part of the decision knows. */
  async peek(plan: Plan, tenantId: string, part: Pick<OwnPart, 'refused' | 'whys'> = {}) {
    const request = { decisionId: '', plan, event: { tenant_id: tenantId }, fingerprint: '', ...part };
    const result = await this.#calls.alone('peek', request, (reply) => this.#decode(reply, request));
    if (result.kind !== 'taken' && result.kind !== 'refused') throw new CountersUnavailable(`peek gave ${result.kind}`);
    return { outcome: result.outcome, at: result.at };
  }

  /** `eventLimits` is what was moved of the same decision at an account, as JSON for the event. */
  async settle(request: SettleRequest, eventLimits = ''): Promise<SettleResult & Moved> {
    const { connection, keys, scripts } = this.#deps;
    const { actual, decisionId, failure = '', fingerprint, kind, model, tenantId = '', usage } = request;
    const receipt = request.receipt?.() ?? '';
    const amounts = Object.entries(actual).map(([unit, amount]) => [unit, String(amount)]);
    const recordKey = keys.record(decisionId);
    const declared = this.#deps.clustered ? await this.#keysOf([recordKey], receipt) : [];
    const [status, first, at, changes, events, decidedAt, candidate, asked] = (await connection.run(
      scripts.settle,
      [keys.stream, keys.open, keys.records, ...declared],
      [
        kind,
        recordKey,
        tenantId,
        fingerprint,
        JSON.stringify(Object.fromEntries(amounts)),
        members({ model }),
        members({ usage }),
        receipt,
        eventLimits,
        failure,
      ],
    )) as [string, string | number, string, string, string, string, string, string];
    if (status === 'unknown') return { kind: 'unknown' };
    if (status === 'conflict') return { kind: 'conflict', state: first as 'settled' | 'voided' };
    return {
      kind: status as 'settled' | 'voided',
      replayed: first === 1,
      at: Number(at),
      changes: JSON.parse(changes),
      decided: { at: Number(decidedAt), model: candidate || modelOf(asked) },
      events,
    };
  }

  /** What became of the takes of the request's run; undefined where they are not counted, or none was made. */
  async run(request: Pick<TakeRequest, 'event' | 'plan'>): Promise<StoredRun | undefined> {
    const key = runKeyOf(request, this.#deps.keys);
    const text = key === undefined ? null : await this.#deps.connection.get(key);
    return text === null ? undefined : JSON.parse(text);
  }

  /** How many records there are, and up to `limit` reservations that nobody settled in time: their record keys. */
  async due(limit: number): Promise<{ records: number; due: string[] }> {
    const { connection, keys, scripts } = this.#deps;
    const [records, ...due] = (await connection.run(scripts.due, [keys.open, keys.records], [String(limit)])) as [
      number,
      ...string[],
    ];
    return { records, due };
  }

  /** Marks what `due` told. */
  async expire(due: string[]): Promise<number> {
    if (due.length === 0) return 0;
    const { connection, keys, scripts } = this.#deps;
    const declared = this.#deps.clustered ? await this.#keysOf(due) : [];
    const [marked, ...problems] = (await connection.run(
      scripts.expire,
      [keys.stream, keys.open, ...declared],
      due,
    )) as [number, ...string[]];
    if (problems.length)
      throw new CountersUnavailable(`reservations that cannot be marked as expired: ${problems.join('; ')}`);
    return marked;
  }

  /** What the decisions touch; `receipt` tells of one that has no record. */
  async #keysOf(recordKeys: string[], receipt = ''): Promise<string[]> {
    const records = await Promise.all(recordKeys.map((key) => this.stored(key)));
    const known = records.map((record) => record ?? (receipt ? (JSON.parse(receipt) as StoredRecord) : undefined));
    return [...new Set([...recordKeys, ...known.flatMap((record) => (record ? keysOfRecord(record) : []))])];
  }

  async stored(recordKey: string): Promise<StoredRecord | undefined> {
    const text = await this.#deps.connection.get(recordKey);
    return text === null ? undefined : JSON.parse(text);
  }

  async record(decisionId: string): Promise<DecisionRecord | undefined> {
    const text = await this.#deps.connection.get(this.#deps.keys.record(decisionId));
    return text === null ? undefined : decodeRecord(text);
  }

  /** Where the decision's charges at a provider account are; undefined if it has none, or is another tenant's. */
  async sharedOf(decisionId: string, tenantId?: string): Promise<SharedCharges | undefined> {
    const record = await this.stored(this.#deps.keys.record(decisionId));
    if (!record || (tenantId !== undefined && record.about.tenant !== tenantId)) return undefined;
    return sharedOf(record);
  }

  /** Of charges that are held for another partition's event: the JSON for that. */
  async heldEvent(decisionId: string): Promise<string> {
    const record = await this.stored(this.#deps.keys.record(decisionId));
    return record ? heldEvent(record) : '';
  }

  async deny({ count = 1, decisionId, event, reason }: Denial): Promise<void> {
    const { connection, keys, scripts } = this.#deps;
    const args = [encodeAbout(decisionId, event), JSON.stringify(reason), String(count)];
    await connection.run(scripts.deny, [keys.stream], args);
  }

  async setGate(gate: Gate, closedUntil: number | undefined): Promise<void> {
    const { connection, keys, scripts } = this.#deps;
    await connection.run(scripts.gate, [keys.gate(gate)], [closedUntil === undefined ? '' : String(closedUntil)]);
  }

  async audit(entry: AuditEntry): Promise<void> {
    const { connection, keys, scripts } = this.#deps;
    await connection.run(scripts.audit, [keys.stream], [opened(auditEvent(entry))]);
  }

  ping(): Promise<void> {
    return this.#deps.connection.ping();
  }

  close(): Promise<void> {
    return this.#deps.connection.close();
  }

  #decode(reply: TakeReply, request: Request): TakeResult {
    const { keys, settings } = this.#deps;
    return decodeTake(reply, request.plan, settings.maxRecords, () => receiptOf(reply, request, keys));
  }
}

/** The model that was asked for, of the JSON member that the record keeps of it. */
const modelOf = (member: string): string | undefined =>
  member === '' ? undefined : (JSON.parse(`{${member.slice(1)}}`) as { model: string }).model;
