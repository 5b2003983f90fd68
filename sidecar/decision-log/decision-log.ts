import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import type { WireError } from '../../schemas/errors.ts';
import type { Answer } from '../decision/answer.ts';
import type { DecisionRequest } from '../decision/request.ts';
import type { DecisionLogCounts } from './counts.ts';
import type { Entry } from './event.ts';
import { hasLogPolicy, type LogPolicy } from './log-policy.ts';
import type { Sink, SinkStatus } from './sink.ts';

/** What waits in memory: so many decisions, as in OPA, and so many characters of input and result. */
const MAX_EVENTS = 10_000;
const MAX_CHARACTERS = 16 * 1024 * 1024;

/** So much is written in one turn of the event loop, and masked with one message. */
const BATCH = 64;
const BATCH_CHARACTERS = 256 * 1024;

/** A shutdown waits so long for what is queued. */
const CLOSE_MS = 3_000;

export interface DecisionLogOptions {
  policy: LogPolicy;
  /** What the policy's `drop` and `mask` need not see is not kept: see `LogPolicyOptions`. */
  content: 'known' | 'full';
  sinks: Sink[];
  counts: DecisionLogCounts;
  clock: Clock;
  log: Log;
  maxEvents?: number;
  maxCharacters?: number;
}

/** Where a request stands when it begins to be answered. */
export interface Begin {
  policy: Entry['policy'];
  /** `openclaw/rate_limit/allow` */
  path: string;
  requestedBy: string | undefined;
}

/**
 * Tells of decisions what OPA's decision logs tell. What a request waits for is a push to a bounded queue; the rest is
 * done afterwards, in order. What finds no room is not logged, and counted.
 */
export class DecisionLog {
  readonly counts: DecisionLogCounts;
  readonly #options: DecisionLogOptions & { maxEvents: number; maxCharacters: number };
  readonly #queue: Entry[] = [];
  #characters = 0;
  /** Taken from the queue and not with the sinks yet. */
  #inHand = 0;
  #requests = 0;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: DecisionLogOptions) {
    this.#options = { maxEvents: MAX_EVENTS, maxCharacters: MAX_CHARACTERS, ...options };
    this.counts = options.counts;
  }

  /** How many wait in this process: what a kill would lose. */
  get queued(): number {
    return this.#queue.length + this.#inHand;
  }

  /** What is wrong with any of its sinks now. */
  get status(): SinkStatus {
    const of = this.#options.sinks.map(({ status }) => status);
    return {
      lost: of.find(({ lost }) => lost !== undefined)?.lost,
      upload: of.find(({ upload }) => upload !== undefined)?.upload,
    };
  }

  begin(begin: Begin): Logged {
    this.#requests += 1;
    const { clock, content } = this.#options;
    return new Logged(this, begin, { clock, content, requestNumber: this.#requests });
  }

  push(entry: Entry): void {
    const { counts, maxCharacters, maxEvents } = this.#options;
    counts.recorded += 1;
    const characters = size(entry);
    const isFull = this.queued >= maxEvents || this.#characters + characters > maxCharacters;
    if (this.#closed) counts.drop('closed');
    else if (isFull) counts.drop('queue_full');
    else {
      this.#queue.push(entry);
      this.#characters += characters;
      this.#running ??= this.#run();
    }
  }

  /** Writes what is queued, for a while; what is left then is counted as dropped. */
  async close(): Promise<void> {
    this.#closed = true;
    const { counts, log, policy, sinks } = this.#options;
    await Promise.race([this.#running, pause(CLOSE_MS)]);
    const left = this.#queue.splice(0).length;
    if (left > 0) {
      log.warn({ decisions: left }, 'decisions are not logged, because they could not be written in time');
      counts.drop('closed', left);
    }
    // What is with the policy is given back, without its content.
    await policy.close();
    await this.#running;
    for (const sink of sinks) await sink.close();
  }

  async #run(): Promise<void> {
    // Whoever is answered in this turn is answered first.
    await nextTurn();
    while (this.#queue.length > 0) {
      const entries = this.#next();
      this.#inHand = entries.length;
      await this.#write(entries).catch((error: unknown) => {
        this.#options.log.error({ err: error }, 'decisions are not logged');
        this.#options.counts.drop('failed', entries.length);
      });
      this.#inHand = 0;
      for (const entry of entries) this.#characters -= size(entry);
      await nextTurn();
    }
    this.#running = undefined;
  }

  /** One at least. */
  #next(): Entry[] {
    let characters = 0;
    const end = this.#queue.slice(0, BATCH).findIndex((entry) => {
      characters += size(entry);
      return characters > BATCH_CHARACTERS;
    });
    return this.#queue.splice(0, end < 0 ? BATCH : Math.max(1, end));
  }

  async #write(entries: readonly Entry[]): Promise<void> {
    const { policy, sinks } = this.#options;
    const events = await policy.events(entries);
    const lines = events.map((event) => ({ event, json: JSON.stringify(event) }));
    if (lines.length > 0) await Promise.all(sinks.map((sink) => sink.write(lines)));
  }
}

type LoggedOptions = Pick<DecisionLogOptions, 'clock' | 'content'> & { requestNumber: number };

/** A request on its way to its line in the log. Exactly one of `plain`, `failed` and `metered` ends it. */
export class Logged {
  readonly #log: DecisionLog;
  readonly #begin: Begin;
  readonly #with: LoggedOptions;
  readonly #start: number;
  readonly #at: number;

  constructor(log: DecisionLog, begin: Begin, options: LoggedOptions) {
    this.#log = log;
    this.#begin = begin;
    this.#with = options;
    this.#start = options.clock.monotonic();
    this.#at = options.clock.now();
  }

  /** Gives the `decision_id` for the answer. `input`: canonical text, undefined where the caller gave none. */
  plain(input: string | undefined, result: unknown): string {
    return this.#plain({ input, result: this.#text(result) });
  }

  /** The evaluation failed, and the answer is an error. */
  failed(input: string | undefined, { code, errors: [error] = [], message }: WireError): string {
    return this.#plain({ input, result: undefined, error: error ?? { code, message } });
  }

  metered(request: DecisionRequest, answer: Answer, { result, dryRun }: { result: unknown; dryRun: boolean }): void {
    const { pkg, requestId, subject } = request;
    this.#push({
      decisionId: answer.decisionId,
      input: request.input,
      ids: { request_id: requestId, run_id: subject.run_id },
      result: this.#text(result),
      metered: { pkg, answer, dryRun },
    });
  }

  #plain(part: Pick<Entry, 'input' | 'result' | 'error'>): string {
    // As OPA's: nothing finds its way by it, as a settle does by a metered decision's. It takes 0.2 µs, a UUIDv7 2.
    const decisionId = randomUUID();
    this.#push({ decisionId, ...part });
    return decisionId;
  }

  #push(part: Omit<Entry, 'policy' | 'path' | 'requestedBy' | 'requestNumber' | 'at' | 'handlerNs'>): void {
    const { clock, requestNumber } = this.#with;
    const { path, policy, requestedBy } = this.#begin;
    const handlerNs = Math.round((clock.monotonic() - this.#start) * 1e6);
    this.#log.push({ ...part, path, policy, requestedBy, requestNumber, at: this.#at, handlerNs });
  }

  /** A document that nobody will see need not be written: an empty one stands for it. */
  #text(result: unknown): string | undefined {
    const isSeen = this.#with.content === 'full' || hasLogPolicy(this.#begin.policy);
    return typeof result !== 'object' || result === null || isSeen ? JSON.stringify(result) : '{}';
  }
}

/** Of what a request brought; the rest of an entry is small. */
const size = ({ input = '', result = '' }: Entry): number => input.length + result.length;

/** Does not keep the process running. */
const pause = (ms: number) =>
  new Promise<void>((resolve) => {
    setTimeout(resolve, ms).unref();
  });
