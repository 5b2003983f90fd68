import type { Clock } from '../../../runtime/clock.ts';
import { type CounterSettings, CountersUnavailable, type LostCall } from '../contract.ts';
import type { PartitionKeys } from '../keys.ts';
import type { Connection } from './connection.ts';
import { isMistimed, type RawReply, readReply, type TakeReply, timeOf } from './decode.ts';
import { encodeWithoutPlan, forgetCounters, isPlain, learnCounters } from './encode-added.ts';
import { type EncodedDecision, encodeDecision, type Request } from './encode-decision.ts';
import { GroupCommit } from './group-commit.ts';
import { Lanes } from './lanes.ts';
import { RunningCounters } from './running.ts';
import type { Script } from './scripts.ts';
import { StoreClock } from './store-clock.ts';

export interface TakeCallsDeps {
  connection: Connection;
  /** `take-3.lua`. */
  script: Script;
  keys: PartitionKeys;
  clock: Clock;
  settings: CounterSettings;
  /** How many records this partition may hold now. */
  maxRecords: () => number;
}

/** What the script is asked to do: see its header. */
export type Mode = 'take' | 'hold' | 'peek' | 'owe' | 'owe_hold';

/** A decision, and the call that it went with. */
interface Asked extends EncodedDecision {
  lost?: LostCall;
}

type Ask = (asked: Asked) => Promise<TakeReply>;
type Decode<Result> = (reply: TakeReply) => Result;

const asItIs = (reply: TakeReply) => reply;

/** Tells the store's time and nothing else. */
const NOTHING = {
  decisionId: '',
  plan: { limits: [], candidates: [], raw_counters: false },
  event: { tenant_id: '' },
  fingerprint: '',
};

/** Calls of the take script of one partition: takes that arrive together go in one. */
export class TakeCalls {
  readonly #deps: TakeCallsDeps;
  readonly #storeClock: StoreClock;
  readonly #groups: Record<'take' | 'hold', GroupCommit<Asked, TakeReply>>;
  readonly #lanes = new Lanes();
  readonly #running = new RunningCounters();

  constructor(deps: TakeCallsDeps) {
    this.#deps = deps;
    const { clock, connection, settings } = deps;
    this.#storeClock = new StoreClock(clock);
    const waits = { clock, timeoutMs: settings.timeoutMs, callsArePaid: connection.callsArePaid };
    this.#groups = {
      take: new GroupCommit((asked) => this.#run('take', asked), waits),
      hold: new GroupCommit((asked) => this.#run('hold', asked), waits),
    };
  }

  /** Shares a call with what else arrives, and decodes the reply. Nothing is taken when nobody waits any more. */
  together<Result>(mode: 'take' | 'hold', request: Request, decode: Decode<Result>): Promise<Result> {
    if (this.#storeClock.known) return this.#queued(mode, request, decode);
    return this.alone('peek', NOTHING, asItIs).then(() => this.#queued(mode, request, decode));
  }

  #queued<Result>(mode: 'take' | 'hold', request: Request, decode: Decode<Result>): Promise<Result> {
    const group = this.#groups[mode];
    const ask = this.#deps.settings.traceCalls
      ? (asked: Asked) =>
          group.add(asked).catch((error) => {
            throw withLost(error, asked);
          })
      : (asked: Asked) => group.add(asked);
    try {
      if (mode !== 'take' || !isPlain(request, this.#deps.keys)) return this.#inItsTime(request, ask, decode);
      return this.#withoutPlan(request, ask, decode);
    } catch (error) {
      // Of a name that cannot be one.
      return Promise.reject(error);
    }
  }

  /** Without its plan where that is not needed. Else with it, and what the reply tells of its counters is known from then on. */
  #withoutPlan<Result>(request: Request, ask: Ask, decode: Decode<Result>): Promise<Result> {
    const { keys } = this.#deps;
    const now = this.#storeClock.after(this.#storeClock.asked(), 0);
    const withPlan = () =>
      this.#inItsTime(request, ask, (reply) => {
        learnCounters(request, reply, keys, this.#running);
        return decode(reply);
      });
    const asked = encodeWithoutPlan(request, keys, now, this.#running);
    if (!asked) return withPlan();
    return ask(asked).then((reply) => {
      if (reply.words[0] !== 'unsure' && !isMistimed(reply)) {
        return decode({ words: reply.words, texts: reply.texts, counters: asked.counters });
      }
      if (reply.words[2] !== 'closed') forgetCounters(request, keys, this.#running);
      return withPlan();
    });
  }

  alone<Result>(mode: Mode, request: Request, decode: Decode<Result>): Promise<Result> {
    return this.#inItsTime(request, async (asked) => (await this.#run(mode, [asked]))[0] as TakeReply, decode);
  }

  /**
   * The store knows no calendar and not how long we wait. Told of periods or of a deadline that its clock is not in, it
   * takes nothing and says its time, and is asked again, once.
   */
  #inItsTime<Result>(request: Request, ask: Ask, decode: Decode<Result>): Promise<Result> {
    const { clock, keys } = this.#deps;
    const at = (now: number) => ask(encodeDecision(request, keys, now));
    const decoded = (reply: TakeReply) =>
      isMistimed(reply) ? at(timeOf(reply) ?? clock.now()).then(decode) : decode(reply);
    try {
      return at(clock.now()).then(decoded);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #run(mode: Mode, asked: Asked[]): Promise<TakeReply[]> {
    const { connection, keys, maxRecords, script, settings } = this.#deps;
    const began = this.#storeClock.asked();
    const waits = mode === 'take' || mode === 'hold';
    const deadline = waits ? this.#storeClock.after(began, settings.timeoutMs) : 0;
    const traced = mode === 'take' && settings.traceCalls ? this.#trace(asked) : undefined;
    const names = [keys.stream, keys.open, keys.records];
    const args = [mode, String(lifeOf(mode, settings)), String(deadline), String(maxRecords()), traced?.call ?? ''];
    const places = new Map<string, string>();
    for (const one of asked) {
      names.push(...one.keys);
      args.push(placed(one.plan, places, args.length), ...one.args);
    }
    if (traced) names.push(traced.key);
    const replies = ((await connection.run(script, names, args)) as RawReply[]).map(readReply);
    if (traced) this.#lanes.answered(traced.lane);
    const storeTime = replies.map(timeOf).find((time) => time !== undefined);
    if (storeTime !== undefined) this.#storeClock.learn(storeTime, began);
    return replies;
  }

  /** Has the store remember what comes of a call, and each of its decisions where. */
  #trace(asked: Asked[]): { lane: string; key: string; call: string } {
    const { call, lane } = this.#lanes.begin();
    const key = this.#deps.keys.call(lane);
    asked.forEach((one, place) => {
      one.lost = { key, call, index: place + 1 };
    });
    return { lane, key, call };
  }
}

/** A plan that was sent before in this call is told by its place among the arguments, from 1 on. `before`: how many there are. */
function placed(plan: string, places: Map<string, string>, before: number): string {
  const place = places.get(plan);
  if (place !== undefined) return place;
  places.set(plan, String(before + 1));
  return plan;
}

/**
 * How long a reservation waits for its report. A hold must not be given back while the tenant's part may still be taken,
 * whatever the two are set to.
 */
const lifeOf = (mode: Mode, { reservationTtlMs, timeoutMs }: CounterSettings): number =>
  mode === 'hold' ? Math.max(reservationTtlMs, 2 * timeoutMs) : reservationTtlMs;

/** Tells with which call the decision went: all of a call fail with one error. */
function withLost(error: unknown, { lost }: Asked): unknown {
  if (!lost || !(error instanceof CountersUnavailable)) return error;
  const own = new CountersUnavailable(error.message, { cause: error.cause });
  own.lost = lost;
  return own;
}
