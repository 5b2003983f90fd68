import type { Clock } from '../../../runtime/clock.ts';
import type { Plan } from '../../../schemas/policy-io.ts';
import {
  type CounterSettings,
  type CounterStore,
  CountersUnavailable,
  type DecisionRecord,
  type Denial,
  type Gate,
  type Owed,
  type SettleRequest,
  type SettleResult,
  type TakeRequest,
  type TakeResult,
} from '../contract.ts';
import type { PartitionKeys } from '../keys.ts';
import type { Connection } from './connection.ts';
import { decodeRecord, decodeTake, isMistimed, type TakeReply, timeOf } from './decode.ts';
import { encodeAbout, encodePlan, members } from './encode.ts';
import { GroupCommit } from './group-commit.ts';
import type { Scripts } from './scripts.ts';
import { StoreClock } from './store-clock.ts';

export interface PartitionDeps {
  connection: Connection;
  scripts: Scripts;
  keys: PartitionKeys;
  clock: Clock;
  settings: CounterSettings;
}

type Mode = 'take' | 'peek' | 'owe';

/** A take, and where in the calendar the store is thought to be. */
interface Asked {
  request: TakeRequest | Owed;
  now: number;
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

/** One partition of the counters: one script per step, and decisions that arrive together go in one call. */
export class Partition {
  readonly #deps: PartitionDeps;
  readonly #storeClock: StoreClock;
  readonly #takes: GroupCommit<Asked, TakeReply>;

  constructor(deps: PartitionDeps) {
    this.#deps = deps;
    this.#storeClock = new StoreClock(deps.clock);
    this.#takes = new GroupCommit((asked) => this.#run('take', asked));
  }

  async take(request: TakeRequest): Promise<TakeResult> {
    if (!this.#storeClock.known) await this.#run('peek', [NOTHING]);
    return this.#decode(await this.#inItsTime((now) => this.#takes.add({ request, now })), request.plan);
  }

  async owe(owed: Owed): ReturnType<CounterStore['owe']> {
    const result = this.#decode(await this.#alone('owe', owed), owed.plan);
    if (result.kind === 'refused' || result.kind === 'closed') throw new CountersUnavailable(`owe gave ${result.kind}`);
    return result;
  }

  async peek(plan: Plan, tenantId: string) {
    const request = { decisionId: '', plan, event: { tenant_id: tenantId }, fingerprint: '' };
    const result = this.#decode(await this.#alone('peek', request), plan);
    if (result.kind !== 'taken' && result.kind !== 'refused') throw new CountersUnavailable(`peek gave ${result.kind}`);
    return { outcome: result.outcome, at: result.at };
  }

  async settle(request: SettleRequest): Promise<SettleResult> {
    const { keys, scripts } = this.#deps;
    const { actual, decisionId, fingerprint, kind, model, receipt = '', tenantId = '', usage } = request;
    const amounts = Object.entries(actual).map(([unit, amount]) => [unit, String(amount)]);
    const [status, first, at, changes] = (await this.#deps.connection.run(
      scripts.settle,
      [keys.stream, keys.open, keys.records],
      [
        kind,
        keys.record(decisionId),
        tenantId,
        fingerprint,
        JSON.stringify(Object.fromEntries(amounts)),
        members({ model }),
        members({ usage }),
        receipt,
        '',
      ],
    )) as [string, string | number, string, string];
    if (status === 'unknown') return { kind: 'unknown' };
    if (status === 'conflict') return { kind: 'conflict', state: first as 'settled' | 'voided' };
    return {
      kind: status as 'settled' | 'voided',
      replayed: first === 1,
      at: Number(at),
      changes: JSON.parse(changes),
    };
  }

  async expire(limit: number): Promise<number> {
    const { connection, keys, scripts } = this.#deps;
    const [, ...due] = (await connection.run(scripts.due, [keys.open, keys.records], [String(limit)])) as [
      number,
      ...string[],
    ];
    if (due.length === 0) return 0;
    const [marked, ...problems] = (await connection.run(scripts.expire, [keys.stream, keys.open], due)) as [
      number,
      ...string[],
    ];
    if (problems.length)
      throw new CountersUnavailable(`reservations that cannot be marked as expired: ${problems.join('; ')}`);
    return marked;
  }

  async record(decisionId: string): Promise<DecisionRecord | undefined> {
    const stored = await this.#deps.connection.get(this.#deps.keys.record(decisionId));
    return stored === null ? undefined : decodeRecord(stored);
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

  #alone(mode: Mode, request: TakeRequest | Owed): Promise<TakeReply> {
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
    const deadline = mode === 'take' ? this.#storeClock.after(at, settings.timeoutMs) : 0;
    const decisions = asked.map((one) => this.#decision(one));
    const replies = (await connection.run(
      scripts.take,
      [keys.stream, keys.open, keys.records, ...decisions.flatMap((decision) => decision.keys)],
      [
        mode,
        String(settings.reservationTtlMs),
        String(deadline),
        String(settings.maxRecords),
        ...decisions.flatMap(({ args }) => args),
      ],
    )) as TakeReply[];
    const storeTime = replies.map(timeOf).find((time) => time !== undefined);
    if (storeTime !== undefined) this.#storeClock.learn(storeTime, at);
    return replies;
  }

  #decision({ now, request }: Asked): { keys: string[]; args: string[] } {
    const { keys } = this.#deps;
    const { decisionId, event, fingerprint, plan, requestId } = request;
    const { keyGate, quiet } = request as Partial<TakeRequest>;
    const { decidedAt } = request as Partial<Owed>;
    const tenantId = event.tenant_id;
    const encoded = encodePlan(plan, tenantId, keys, now);
    const ask = {
      keys: encoded.keys.length,
      fingerprint,
      ...(requestId !== undefined && { idempotent: true }),
      ...(keyGate !== undefined && { gated: true }),
      ...(quiet && { quiet }),
      ...(decidedAt !== undefined && { decided_at: String(decidedAt) }),
    };
    return {
      keys: [
        ...encoded.keys,
        keys.record(decisionId),
        ...(requestId === undefined ? [] : [keys.request(tenantId, requestId)]),
        ...(keyGate === undefined ? [] : [keys.gate({ tenantId, scope: 'tenant', name: keyGate })]),
      ],
      args: [encoded.text, encodeAbout(decisionId, event), JSON.stringify(ask)],
    };
  }
}
