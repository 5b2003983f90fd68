import type { Clock } from '../../../runtime/clock.ts';
import type { Plan } from '../../../schemas/policy-io.ts';
import type {
  CounterSettings,
  CounterStore,
  DecisionRecord,
  Denial,
  SettleRequest,
  SettleResult,
  TakeRequest,
  TakeResult,
} from '../contract.ts';
import { CountersUnavailable } from '../contract.ts';
import { partitionKeys } from '../keys.ts';
import type { Connection } from './connection.ts';
import { decodeRecord, decodeTake, isMistimed, type TakeReply, timeOf } from './decode.ts';
import { encodeAbout, encodePlan, members } from './encode.ts';
import { GroupCommit } from './group-commit.ts';
import type { Scripts } from './scripts.ts';
import { StoreClock } from './store-clock.ts';

/** A take, and where in the calendar the store is thought to be. */
interface Asked {
  request: TakeRequest;
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

/** A single Redis has one partition. */
const PARTITION = 0;

/** The counters in Redis: one script per step, and decisions that arrive together go in one call. */
export class RedisStore implements CounterStore {
  readonly #connection: Connection;
  readonly #scripts: Scripts;
  readonly #keys = partitionKeys(PARTITION);
  readonly #clock: Clock;
  readonly #settings: CounterSettings;
  readonly #storeClock: StoreClock;
  readonly #takes: GroupCommit<Asked, TakeReply>;

  constructor(connection: Connection, scripts: Scripts, clock: Clock, settings: CounterSettings) {
    this.#connection = connection;
    this.#scripts = scripts;
    this.#clock = clock;
    this.#settings = settings;
    this.#storeClock = new StoreClock(clock);
    this.#takes = new GroupCommit((asked) => this.#run('take', asked));
  }

  partitionOf(): number {
    return PARTITION;
  }

  async take(request: TakeRequest): Promise<TakeResult> {
    if (!this.#storeClock.known) await this.#run('peek', [NOTHING]);
    const ask = (now: number) => this.#takes.add({ request, now });
    return decodeTake(await this.#inItsTime(ask), request.plan);
  }

  async peek(plan: Plan, tenantId: string) {
    const request = { decisionId: '', plan, event: { tenant_id: tenantId }, fingerprint: '' };
    const ask = async (now: number) => (await this.#run('peek', [{ request, now }]))[0] as TakeReply;
    const result = decodeTake(await this.#inItsTime(ask), plan);
    if (result.kind !== 'taken' && result.kind !== 'refused') throw new CountersUnavailable(`peek gave ${result.kind}`);
    return { outcome: result.outcome, at: result.at };
  }

  async settle(request: SettleRequest): Promise<SettleResult> {
    const { actual, decisionId, fingerprint, kind, model, receipt = '', tenantId = '', usage } = request;
    const [status, first, at, changes] = (await this.#connection.run(
      this.#scripts.settle,
      [this.#keys.stream, this.#keys.open],
      [
        kind,
        this.#keys.record(decisionId),
        tenantId,
        fingerprint,
        JSON.stringify(Object.fromEntries(Object.entries(actual).map(([unit, amount]) => [unit, String(amount)]))),
        members({ model }),
        members({ usage }),
        receipt,
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
    const { open, stream } = this.#keys;
    const [marked, ...problems] = (await this.#connection.run(
      this.#scripts.expire,
      [stream, open],
      [String(limit)],
    )) as [number, ...string[]];
    if (problems.length)
      throw new CountersUnavailable(`reservations that cannot be marked as expired: ${problems.join('; ')}`);
    return marked;
  }

  async record(decisionId: string): Promise<DecisionRecord | undefined> {
    const stored = await this.#connection.get(this.#keys.record(decisionId));
    return stored === null ? undefined : decodeRecord(stored);
  }

  async deny({ decisionId, event, reason }: Denial): Promise<void> {
    const args = [encodeAbout(decisionId, event), JSON.stringify(reason)];
    await this.#connection.run(this.#scripts.deny, [this.#keys.stream], args);
  }

  ping(): Promise<void> {
    return this.#connection.ping();
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  /**
   * The store knows no calendar and not how long we wait. Told of periods or of a deadline that its clock is not in, it
   * takes nothing and says its time, and is asked again, once.
   */
  async #inItsTime(ask: (now: number) => Promise<TakeReply>): Promise<TakeReply> {
    const reply = await ask(this.#clock.now());
    return isMistimed(reply) ? ask(timeOf(reply) ?? this.#clock.now()) : reply;
  }

  async #run(mode: 'take' | 'peek', asked: Asked[]): Promise<TakeReply[]> {
    const { reservationTtlMs, timeoutMs } = this.#settings;
    const at = this.#storeClock.asked();
    const deadline = mode === 'take' ? this.#storeClock.after(at, timeoutMs) : 0;
    const replies = (await this.#connection.run(
      this.#scripts.take,
      [this.#keys.stream, this.#keys.open],
      [mode, String(reservationTtlMs), String(deadline), ...asked.flatMap((one) => this.#decision(one))],
    )) as TakeReply[];
    const storeTime = replies.map(timeOf).find((time) => time !== undefined);
    if (storeTime !== undefined) this.#storeClock.learn(storeTime, at);
    return replies;
  }

  #decision({ now, request: { decisionId, event, fingerprint, plan, requestId } }: Asked): string[] {
    return [
      encodePlan(plan, event.tenant_id, this.#keys, now),
      encodeAbout(decisionId, event),
      this.#keys.record(decisionId),
      requestId === undefined ? '' : this.#keys.request(event.tenant_id, requestId),
      fingerprint,
    ];
  }
}
