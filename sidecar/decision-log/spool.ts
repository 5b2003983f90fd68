import { rm } from 'node:fs/promises';
import type { Clock } from '../../runtime/clock.ts';
import { ConfigError } from '../../runtime/config/config-error.ts';
import type { Log } from '../../runtime/log.ts';
import { Rarely } from '../../runtime/rarely.ts';
import { recordLine } from '../counters/embedded/record-line.ts';
import type { AppendFile } from '../decision/owed/append-file.ts';
import { Home } from '../decision/owed/home.ts';
import type { DecisionLogCounts } from './counts.ts';
import { ENDING, newSegment, readEvents, type Segment, seal } from './spool-segment.ts';

export interface SpoolOptions {
  root: string;
  maxBytes: number;
  segmentBytes: number;
  counts: DecisionLogCounts;
  clock: Clock;
  log: Log;
}

/**
 * Events on their way to the service, in `DATA_DIR`: an outage of the service, or the death of this process, loses none
 * up to the spool's size. When it is full the oldest go, as in OPA. Files of a process that has ended are taken over.
 */
export class Spool {
  readonly #options: SpoolOptions;
  readonly #home: Home;
  readonly #taken: Home[];
  readonly #failureSaid: Rarely;
  readonly #fullSaid: Rarely;
  #segments: Segment[] = [];
  #current: Segment | undefined;
  #lost: string | undefined;

  /** Throws `ConfigError` if nothing can be written there. */
  static async open(options: SpoolOptions): Promise<Spool> {
    try {
      const taken = await Home.left(options.root, options.log);
      const spool = new Spool(options, await Home.found(options.root), taken);
      await spool.#takeOver();
      return spool;
    } catch (error) {
      throw new ConfigError([
        `environment: DECISION_LOGS=http keeps in DATA_DIR what is to be uploaded, and nothing can be written to ` +
          `${options.root} (${(error as Error).message}); let this process's user write there, or set DATA_DIR to another folder`,
      ]);
    }
  }

  private constructor(options: SpoolOptions, home: Home, taken: Home[]) {
    this.#options = options;
    this.#home = home;
    this.#taken = taken;
    this.#failureSaid = new Rarely(options.clock);
    this.#fullSaid = new Rarely(options.clock);
  }

  get events(): number {
    return this.#segments.reduce((sum, { events }) => sum + events, 0);
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Why the last events that came were not kept, or older ones for them; undefined: nothing is lost. */
  get lost(): string | undefined {
    return this.#lost;
  }

  /** One call at a time. With the kernel when it resolves. Does not throw: what cannot be written is counted. */
  async append(events: readonly string[]): Promise<void> {
    const line = Buffer.from(events.map(recordLine).join(''));
    this.#lost = undefined;
    if (!(await this.#makeRoom(line.length))) return this.#options.counts.drop('spool_full', events.length);
    await this.#sealFull();
    // From here to the append nothing is waited for: an upload could begin with the file.
    const [segment, file] = this.#writable();
    // Counted first: an upload may come before this goes on.
    segment.events += events.length;
    segment.bytes += line.length;
    try {
      await file.append(line);
    } catch (error) {
      segment.events -= events.length;
      segment.bytes -= line.length;
      if (segment === this.#current) this.#current = undefined;
      await seal(segment).catch(() => {});
      this.#lost = `the spool of decision logs cannot be written: ${(error as Error).message}`;
      if (this.#failureSaid.due())
        this.#options.log.error({ err: error }, 'the spool of decision logs cannot be written');
      this.#options.counts.drop('spool_failed', events.length);
    }
  }

  /** Whether `next` would give one that is full, or as old as that. */
  due(ageMs: number): boolean {
    const [first] = this.#segments;
    if (!first) return false;
    return first !== this.#current || this.#isFull(first) || this.#options.clock.monotonic() - first.since >= ageMs;
  }

  /** The oldest; nothing is added to it any more. */
  async next(): Promise<Segment | undefined> {
    const [segment] = this.#segments;
    if (!segment) return undefined;
    segment.busy = true;
    if (segment === this.#current) this.#current = undefined;
    await seal(segment);
    return segment;
  }

  /** The JSON texts of its events. What was damaged on the disk is counted as dropped. */
  async read(segment: Segment): Promise<string[]> {
    const { events } = await readEvents(segment.path).catch((error: unknown) => {
      this.#options.log.error({ err: error, path: segment.path }, 'a file of the decision log cannot be read');
      return { events: [] };
    });
    const lost = segment.events - events.length;
    if (lost > 0) this.#options.counts.drop('spool_failed', lost);
    segment.events = events.length;
    return events;
  }

  /** All of it is accepted, or nobody wants it. */
  async finish(segment: Segment): Promise<void> {
    this.#segments = this.#segments.filter((other) => other !== segment);
    await rm(segment.path, { force: true });
    const index = this.#taken.indexOf(segment.home);
    if (index < 0 || this.#segments.some(({ home }) => home === segment.home)) return;
    this.#taken.splice(index, 1);
    await segment.home.leave();
  }

  /** It was not accepted, or, where there is a `rest`, not all of it: that much of it waits on. */
  async release(segment: Segment, rest: readonly string[] | undefined): Promise<void> {
    if (!rest) {
      segment.busy = false;
      return;
    }
    const line = Buffer.from(rest.map(recordLine).join(''));
    const left = this.#newSegment();
    left.busy = true;
    try {
      await left.file.append(line);
      await left.file.close();
    } catch {
      // It stays whole, and is sent whole: twice is better than never.
      segment.busy = false;
      return;
    }
    Object.assign(left, { events: rest.length, bytes: line.length, file: undefined, busy: false });
    this.#segments = this.#segments.map((other) => (other === segment ? left : other));
    segment.events = 0;
    await this.finish(segment);
  }

  /** The others have their turn first. */
  postpone(segment: Segment): void {
    this.#segments = [...this.#segments.filter((other) => other !== segment), segment];
  }

  /** What waits stays where it is, for the next start. */
  async close(): Promise<void> {
    if (this.#current) await seal(this.#current);
    for (const segment of this.#segments) {
      if (segment.events === 0) await this.finish(segment);
    }
    const waiting = this.events;
    for (const home of [...this.#taken, this.#home]) await home.leave();
    if (waiting === 0) return;
    this.#options.log.warn(
      { decisions: waiting, path: this.#options.root },
      'decision logs are not uploaded yet; the next start on this DATA_DIR goes on',
    );
  }

  async #takeOver(): Promise<void> {
    const { clock, log } = this.#options;
    for (const home of [...this.#taken]) {
      const files = await home.files(ENDING);
      if (files.length === 0) {
        this.#taken.splice(this.#taken.indexOf(home), 1);
        await home.leave();
      }
      for (const path of files) {
        const { bytes, events } = await readEvents(path);
        const since = clock.monotonic();
        this.#segments.push({ path, home, events: events.length, bytes, since, file: undefined, busy: false });
      }
    }
    if (this.events > 0) log.info({ decisions: this.events }, 'decision logs that were not uploaded are taken over');
    await this.#makeRoom(0);
  }

  #isFull = (segment: Segment) => segment.bytes >= this.#options.segmentBytes;

  /** In an outage hundreds of files wait, and each that is open costs a descriptor. */
  async #sealFull(): Promise<void> {
    const current = this.#current;
    if (!current || !(this.#isFull(current) || current.file?.broken)) return;
    this.#current = undefined;
    await seal(current);
  }

  #writable(): [Segment, AppendFile] {
    if (this.#current?.file) return [this.#current, this.#current.file];
    const next = this.#newSegment();
    this.#segments.push(next);
    this.#current = next;
    return [next, next.file];
  }

  #newSegment(): Segment & { file: AppendFile } {
    return newSegment(this.#home, this.#options.clock.monotonic());
  }

  /** False: what is to be added must go instead. */
  async #makeRoom(bytes: number): Promise<boolean> {
    const { counts, log, maxBytes } = this.#options;
    while (this.bytes + bytes > maxBytes) {
      this.#lost = `the spool of decision logs is full (${maxBytes} bytes): the oldest go`;
      if (this.#fullSaid.due()) log.error(this.#lost);
      const oldest = this.#segments.find(({ busy }) => !busy);
      if (!oldest) return false;
      if (oldest === this.#current) this.#current = undefined;
      counts.drop('spool_full', oldest.events);
      oldest.events = 0;
      await seal(oldest);
      await this.finish(oldest);
    }
    return true;
  }
}
