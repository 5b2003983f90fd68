import type { Clock } from '../../../runtime/clock.ts';
import type { Plan } from '../../../schemas/policy-io.ts';
import {
  type CounterSettings,
  type CounterStore,
  CountersUnavailable,
  type DecisionRecord,
  type Denial,
  type Gate,
  type LostCall,
  type Owed,
  type SettleRequest,
  type SettleResult,
  type TakeRequest,
  type TakeResult,
} from '../contract.ts';
import type { PartitionKeys } from '../keys.ts';
import type { Connection } from './connection.ts';
import {
  chosenOf,
  decodeRecord,
  decodeTake,
  heldEvent,
  isMistimed,
  keysOfRecord,
  type SharedCharges,
  type StoredRecord,
  sharedOf,
  type TakeReply,
  timeOf,
} from './decode.ts';
import { encodeAbout, encodePlan, members } from './encode.ts';
import { GroupCommit } from './group-commit.ts';
import { Lanes } from './lanes.ts';
import type { Scripts } from './scripts.ts';
import { StoreClock } from './store-clock.ts';

export interface PartitionDeps {
  connection: Connection;
  scripts: Scripts;
  keys: PartitionKeys;
  clock: Clock;
  settings: CounterSettings;
  /** How many records this partition may hold now. */
  maxRecords: () => number;
  /** On a cluster: scripts are told of every key that they touch. */
  clustered?: boolean;
}

/** What `lua/take-3.lua` is asked to do. */
export type Mode = 'take' | 'hold' | 'peek' | 'owe' | 'owe_hold';

/** On a cluster: the part of a decision that its tenant's partition has, while another has what is shared. */
export interface OwnPart {
  /** What was held at the account: JSON for the event and for the record. */
  shared?: { limits?: string; record: string };
  /** The account has refused it: say how the rest stands, take nothing. */
  refused?: true;
}

/** A take, and where in the calendar the store is thought to be. */
interface Asked {
  request: (TakeRequest | Owed) & OwnPart;
  now: number;
  /** The call that it went with. */
  lost?: LostCall;
}

/** A question that only tells the store's time. */
const NOTHING: Asked = {
  request: {
    decisionId: '',
    plan: { limits: [], candidates: [], raw_counters: false },
    event: { tenant_id: '' },
    fingerprint: '',
  },
  now: 0,
};

/** Of charges that are held for another partition's event: the JSON for that. */
interface Moved {
  events?: string;
}

/** One partition of the counters: one script per step, and decisions that arrive together go in one call. */
export class Partition {
  readonly #deps: PartitionDeps;
  readonly #storeClock: StoreClock;
  readonly #takes: GroupCommit<Asked, TakeReply>;
  readonly #holds: GroupCommit<Asked, TakeReply>;
  readonly #lanes = new Lanes();

  constructor(deps: PartitionDeps) {
    this.#deps = deps;
    this.#storeClock = new StoreClock(deps.clock);
    this.#takes = new GroupCommit((asked) => this.#run('take', asked));
    this.#holds = new GroupCommit((asked) => this.#run('hold', asked));
  }

  async take(request: TakeRequest): Promise<TakeResult> {
    return (await this.choose('take', request)).result;
  }

  /** Takes, and tells which candidate. `hold`: for a decision whose event another partition appends. */
  async choose(mode: 'take' | 'hold', request: TakeRequest & OwnPart): Promise<{ result: TakeResult; chosen: number }> {
    if (!this.#storeClock.known) await this.#run('peek', [NOTHING]);
    const takes = mode === 'take' ? this.#takes : this.#holds;
    const reply = await this.#inItsTime(async (now) => {
      const asked: Asked = { request, now };
      return takes.add(asked).catch((error) => {
        throw withLost(error, asked);
      });
    });
    return { result: this.#decode(reply, request.plan), chosen: chosenOf(reply) };
  }

  async owe(owed: Owed & OwnPart, mode: 'owe' | 'owe_hold' = 'owe'): ReturnType<CounterStore['owe']> {
    const reply = await this.#alone(mode, owed);
    if (reply[0] === 'executed') return { kind: 'executed' };
    const result = this.#decode(reply, owed.plan);
    if (result.kind === 'refused' || result.kind === 'closed') throw new CountersUnavailable(`owe gave ${result.kind}`);
    return result;
  }

  /** `refused`: how the plan stands, whatever there is room for. */
  async peek(plan: Plan, tenantId: string, refused?: true) {
    const request = {
      decisionId: '',
      plan,
      event: { tenant_id: tenantId },
      fingerprint: '',
      ...(refused && { refused }),
    };
    const result = this.#decode(await this.#alone('peek', request), plan);
    if (result.kind !== 'taken' && result.kind !== 'refused') throw new CountersUnavailable(`peek gave ${result.kind}`);
    return { outcome: result.outcome, at: result.at };
  }

  /** `eventLimits` is what was moved of the same decision at an account, as JSON for the event. */
  async settle(request: SettleRequest, eventLimits = ''): Promise<SettleResult & Moved> {
    const { connection, keys, scripts } = this.#deps;
    const { actual, decisionId, fingerprint, kind, model, receipt = '', tenantId = '', usage } = request;
    const amounts = Object.entries(actual).map(([unit, amount]) => [unit, String(amount)]);
    const recordKey = keys.record(decisionId);
    const declared = this.#deps.clustered ? await this.#keysOf([recordKey]) : [];
    const [status, first, at, changes, events] = (await connection.run(
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
      ],
    )) as [string, string | number, string, string, string];
    if (status === 'unknown') return { kind: 'unknown' };
    if (status === 'conflict') return { kind: 'conflict', state: first as 'settled' | 'voided' };
    return {
      kind: status as 'settled' | 'voided',
      replayed: first === 1,
      at: Number(at),
      changes: JSON.parse(changes),
      events,
    };
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

  async #keysOf(recordKeys: string[]): Promise<string[]> {
    const records = await Promise.all(recordKeys.map((key) => this.stored(key)));
    return [...new Set([...recordKeys, ...records.flatMap((record) => (record ? keysOfRecord(record) : []))])];
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

  ping(): Promise<void> {
    return this.#deps.connection.ping();
  }

  close(): Promise<void> {
    return this.#deps.connection.close();
  }

  #decode(reply: TakeReply, plan: Plan): TakeResult {
    return decodeTake(reply, plan, this.#deps.settings.maxRecords);
  }

  #alone(mode: Mode, request: Asked['request']): Promise<TakeReply> {
    return this.#inItsTime(async (now) => (await this.#run(mode, [{ request, now }]))[0] as TakeReply);
  }

  /**
   * The store knows no calendar and not how long we wait. Told of periods or of a deadline that its clock is not in, it
   * takes nothing and says its time, and is asked again, once.
   */
  async #inItsTime(ask: (now: number) => Promise<TakeReply>): Promise<TakeReply> {
    const { clock } = this.#deps;
    const reply = await ask(clock.now());
    return isMistimed(reply) ? ask(timeOf(reply) ?? clock.now()) : reply;
  }

  async #run(mode: Mode, asked: Asked[]): Promise<TakeReply[]> {
    const { connection, keys, scripts, settings } = this.#deps;
    const at = this.#storeClock.asked();
    const deadline = mode === 'take' || mode === 'hold' ? this.#storeClock.after(at, settings.timeoutMs) : 0;
    const decisions = asked.map((one) => this.#decision(one));
    const traced = mode === 'take' && settings.traceCalls ? this.#lanes.begin() : undefined;
    const callKey = traced && keys.call(traced.lane);
    if (traced && callKey) {
      for (const [place, one] of asked.entries()) one.lost = { key: callKey, call: traced.call, index: place + 1 };
    }
    const replies = (await connection.run(
      scripts.take,
      [keys.stream, keys.open, keys.records, ...decisions.flatMap((each) => each.keys), ...(callKey ? [callKey] : [])],
      [
        mode,
        String(settings.reservationTtlMs),
        String(deadline),
        String(this.#deps.maxRecords()),
        traced?.call ?? '',
        ...decisions.flatMap(({ args }) => args),
      ],
    )) as TakeReply[];
    if (traced) this.#lanes.answered(traced);
    const storeTime = replies.map(timeOf).find((time) => time !== undefined);
    if (storeTime !== undefined) this.#storeClock.learn(storeTime, at);
    return replies;
  }

  #decision({ now, request }: Asked): { keys: string[]; args: string[] } {
    const { keys } = this.#deps;
    const { decisionId, event, fingerprint, plan, requestId } = request;
    const { keyGate, quiet } = request as Partial<TakeRequest>;
    const { decidedAt, lost } = request as Partial<Owed>;
    const { refused, shared } = request;
    const tenantId = event.tenant_id;
    const encoded = encodePlan(plan, tenantId, keys, now);
    const ask = {
      keys: encoded.keys.length,
      fingerprint,
      ...(requestId !== undefined && { idempotent: true }),
      ...(keyGate !== undefined && { gated: true }),
      ...(quiet && { quiet }),
      ...(decidedAt !== undefined && { decided_at: String(decidedAt) }),
      ...(shared && { shared }),
      ...(refused && { refused }),
      ...(lost && { lost: { call: lost.call, index: lost.index } }),
    };
    return {
      keys: [
        ...encoded.keys,
        keys.record(decisionId),
        ...(requestId === undefined ? [] : [keys.request(tenantId, requestId)]),
        ...(keyGate === undefined ? [] : [keys.gate({ tenantId, scope: 'tenant', name: keyGate })]),
        ...(lost ? [lost.key] : []),
      ],
      args: [encoded.text, encodeAbout(decisionId, event), JSON.stringify(ask)],
    };
  }
}

/** Tells with which call the decision went: all of a call fail with one error. */
function withLost(error: unknown, { lost }: Asked): unknown {
  if (!lost || !(error instanceof CountersUnavailable)) return error;
  const own = new CountersUnavailable(error.message, { cause: error.cause });
  own.lost = lost;
  return own;
}
