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
import { decodeRecord, decodeTake, staleAt, type TakeReply } from './decode.ts';
import { encodeAbout, encodePlan, members } from './encode.ts';
import { GroupCommit } from './group-commit.ts';
import type { Scripts } from './scripts.ts';

/** A take, and where in the calendar the store is thought to be. */
interface Asked {
  request: TakeRequest;
  now: number;
}

/** A single Redis has one partition. */
const PARTITION = 0;

/** The counters in Redis: one script per step, and decisions that arrive together go in one call. */
export class RedisStore implements CounterStore {
  readonly #connection: Connection;
  readonly #scripts: Scripts;
  readonly #keys = partitionKeys(PARTITION);
  readonly #clock: Clock;
  readonly #settings: CounterSettings;
  readonly #takes: GroupCommit<Asked, TakeReply>;

  constructor(connection: Connection, scripts: Scripts, clock: Clock, settings: CounterSettings) {
    this.#connection = connection;
    this.#scripts = scripts;
    this.#clock = clock;
    this.#settings = settings;
    this.#takes = new GroupCommit((asked) => this.#run('take', asked));
  }

  partitionOf(): number {
    return PARTITION;
  }

  async take(request: TakeRequest): Promise<TakeResult> {
    const ask = (now: number) => this.#takes.add({ request, now });
    return decodeTake(await this.#inItsPeriod(ask), request.plan);
  }

  async peek(plan: Plan, tenantId: string) {
    const request = { decisionId: '', plan, event: { tenant_id: tenantId }, fingerprint: '' };
    const ask = async (now: number) => (await this.#run('peek', [{ request, now }]))[0] as TakeReply;
    const result = decodeTake(await this.#inItsPeriod(ask), plan);
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

  /** The store knows no calendar: told of other periods than its own, it says its time and is asked again, once. */
  async #inItsPeriod(ask: (now: number) => Promise<TakeReply>): Promise<TakeReply> {
    const reply = await ask(this.#clock.now());
    const storeTime = staleAt(reply);
    return storeTime === undefined ? reply : ask(storeTime);
  }

  async #run(mode: 'take' | 'peek', asked: Asked[]): Promise<TakeReply[]> {
    const args = [mode, String(this.#settings.reservationTtlMs), ...asked.flatMap((one) => this.#decision(one))];
    return (await this.#connection.run(this.#scripts.take, [this.#keys.stream, this.#keys.open], args)) as TakeReply[];
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
