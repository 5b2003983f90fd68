import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../../runtime/clock.ts';
import { ConfigError } from '../../../runtime/config/config-error.ts';
import type { Log } from '../../../runtime/log.ts';
import { Rarely } from '../../../runtime/rarely.ts';
import { CountersUnavailable, type Owed } from '../../counters/contract.ts';
import { refusedAside } from './aside.ts';
import { type OwedGrant, OwedGrants } from './grants.ts';
import { Home } from './home.ts';
import { owedLine, readLines } from './lines.ts';
import { Segment } from './segment.ts';
import { takeOver } from './take-over.ts';

/**
 * A grant on one bucket is a line of 670 bytes, measured, so the two bounds are about the same: 17 minutes of 100 requests a
 * second. 100,000 take 43 MB of memory, and a start reads them in 2 to 3 seconds.
 */
const MAX_GRANTS = 100_000;
const MAX_BYTES = 64 * 1024 * 1024;

/** A file is read whole to be charged, and deleted as soon as all of it is. */
const SEGMENT_BYTES = 4 * 1024 * 1024;

/** Of so many it is remembered that the store has them under another id. */
const MAX_NAMES = 10_000;

export interface OwedJournalOptions {
  dataDir: string;
  /** `ON_STORE_FAILURE=allow`. Without it, only what was allowed before is still charged. */
  allow: boolean;
  clock: Clock;
  log: Log;
  maxGrants?: number;
  maxBytes?: number;
  segmentBytes?: number;
}

/**
 * What was allowed while the store was away: written to `DATA_DIR` before its caller is answered, and kept until it is
 * charged. Bounded: what would not fit is not allowed.
 */
export class OwedJournal {
  readonly allows: boolean;
  readonly #options: Required<OwedJournalOptions>;
  readonly #root: string;
  /** Where this process writes; undefined where it allows nothing. */
  readonly #home: Home | undefined;
  readonly #taken: Home[];
  readonly #grants = new OwedGrants();
  readonly #fullSaid: Rarely;
  readonly #names = new LRUCache<string, string>({ max: MAX_NAMES });
  #segments: Segment[] = [];
  #current: Segment | undefined;
  #bytes = 0;
  /** Since something began to be owed. */
  #episode = { allowed: 0, charged: 0 };
  #setAside = 0;

  /** Throws `ConfigError` if requests are to be allowed and nothing can be written. */
  static async open(options: OwedJournalOptions): Promise<OwedJournal> {
    const root = join(options.dataDir, 'owed');
    const { home, left } = await homes(root, options);
    const journal = new OwedJournal(options, root, home, left);
    await journal.#takeOver(left);
    return journal;
  }

  private constructor(options: OwedJournalOptions, root: string, home: Home | undefined, taken: Home[]) {
    this.#options = { maxGrants: MAX_GRANTS, maxBytes: MAX_BYTES, segmentBytes: SEGMENT_BYTES, ...options };
    this.allows = options.allow;
    this.#root = root;
    this.#home = home;
    this.#taken = [...taken];
    this.#fullSaid = new Rarely(options.clock);
  }

  /** How many grants are not charged yet. */
  get pending(): number {
    return this.#grants.size;
  }

  /** There is no file left, whether something is owed in it or not. */
  get isEmpty(): boolean {
    return this.#segments.length === 0;
  }

  /** How many were given up since the start: the store refused them, or they could not be read. */
  get setAside(): number {
    return this.#setAside;
  }

  decision(decisionId: string): OwedGrant | undefined {
    return this.#grants.decision(decisionId);
  }

  request(tenantId: string, requestId: string | undefined): OwedGrant | undefined {
    return this.#grants.request(tenantId, requestId);
  }

  /** The id under which the store knows a decision: another sidecar's, if that was granted the same request id before. */
  nameOf(decisionId: string): string {
    return this.#names.get(decisionId) ?? decisionId;
  }

  /**
   * Writes a grant down; gives the one that is there already for its request id. Throws `CountersUnavailable` if it
   * cannot be written: then it must not be given.
   */
  async add(owed: Owed): Promise<OwedGrant> {
    const known = this.request(owed.event.tenant_id, owed.requestId);
    if (known) {
      await known.written;
      return known;
    }
    const line = owedLine(owed);
    this.#checkRoom(line.length);
    const segment = this.#writable();
    const written = segment.append(line).catch((error: unknown) => {
      this.#forget(segment, owed.decisionId);
      throw new CountersUnavailable(`what is allowed cannot be written to ${segment.path}: ${messageOf(error)}`);
    });
    const grant = this.#note(segment, owed, { bytes: line.length, written });
    await written;
    this.#episode.allowed += 1;
    if (this.#episode.allowed === 1) {
      this.#options.log.warn('requests are allowed without being counted, and charged when the counters are back');
    }
    return grant;
  }

  /** The files, the oldest first. Nothing is added to them any more. */
  async segments(): Promise<Segment[]> {
    this.#current = undefined;
    const segments = this.#segments.toSorted((a, b) => a.since - b.since);
    for (const segment of segments) await segment.end();
    return segments;
  }

  /** What of a file is not charged yet. */
  async read(segment: Segment): Promise<Owed[]> {
    const { grants = [] } = segment.pending.size === 0 ? {} : await readLines(segment.path);
    const owed = grants.map((grant) => grant.owed).filter(({ decisionId }) => segment.pending.has(decisionId));
    const read = new Set(owed.map(({ decisionId }) => decisionId));
    for (const decisionId of segment.pending) {
      if (!read.has(decisionId)) this.#giveUp(segment, decisionId, { path: segment.path }, 'cannot be read any more');
    }
    return owed;
  }

  /** `name`: the decision that its request id was charged for. */
  charged(segment: Segment, decisionId: string, name: string): void {
    if (name !== decisionId) this.#names.set(decisionId, name);
    this.#episode.charged += 1;
    this.#forget(segment, decisionId);
  }

  /** The store refuses it, whatever is tried. */
  async refuse(segment: Segment, owed: Owed, error: unknown): Promise<void> {
    const path = await refusedAside(this.#root, owed);
    this.#giveUp(segment, owed.decisionId, { err: error, path }, 'is refused by the counters');
  }

  /** Deletes a file of which nothing is owed. */
  async finish(segment: Segment): Promise<void> {
    await rm(segment.path, { force: true });
    this.#segments = this.#segments.filter((other) => other !== segment);
    this.#bytes -= segment.bytes;
    const inUse = segment.home === this.#home || this.#segments.some(({ home }) => home === segment.home);
    if (!inUse && this.#taken.includes(segment.home)) await this.#leave(segment.home);
  }

  /** What is owed stays where it is, for the next start. */
  async close(): Promise<void> {
    for (const segment of await this.segments()) {
      if (segment.pending.size === 0) await this.finish(segment);
    }
    for (const home of [...this.#taken, ...(this.#home ? [this.#home] : [])]) await home.leave();
    if (this.pending === 0) return;
    this.#options.log.warn(
      { pending: this.pending, path: this.#root },
      'requests that were allowed while the counters were away are not charged yet; the next start on this DATA_DIR goes on',
    );
  }

  async #takeOver(homes: Home[]): Promise<void> {
    const { log } = this.#options;
    for await (const { damaged, grants, segment } of takeOver(homes, this.#root, log)) {
      this.#setAside += damaged;
      this.#segments.push(segment);
      for (const { bytes, owed } of grants) this.#note(segment, owed, { bytes, written: Promise.resolve() });
    }
    if (this.pending) log.warn({ pending: this.pending }, 'what a process allowed that has ended is charged from here');
    for (const home of homes) {
      if (!this.#segments.some((segment) => segment.home === home)) await this.#leave(home);
    }
  }

  async #leave(home: Home): Promise<void> {
    this.#taken.splice(this.#taken.indexOf(home), 1);
    await home.leave();
  }

  #checkRoom(bytes: number): void {
    const { log, maxBytes, maxGrants } = this.#options;
    if (this.pending < maxGrants && this.#bytes + bytes <= maxBytes) return;
    const full = `${this.pending} grants, ${this.#bytes} bytes, wait to be charged, and no more may`;
    if (this.#fullSaid.due()) log.error(`requests are denied until the counters are back: ${full}`);
    throw new CountersUnavailable(full);
  }

  #writable(): Segment {
    const { segmentBytes } = this.#options;
    if (!this.#home) throw new CountersUnavailable('requests are not allowed while the counters are away');
    const current = this.#current;
    if (current && current.bytes < segmentBytes && !current.broken) return current;
    const next = new Segment(this.#home, this.#home.newFile(), true);
    this.#segments.push(next);
    this.#current = next;
    return next;
  }

  #note(segment: Segment, owed: Owed, { bytes, written }: { bytes: number; written: Promise<void> }): OwedGrant {
    const { decidedAt, decisionId, event, fingerprint, requestId } = owed;
    segment.note(decisionId, bytes, decidedAt);
    this.#bytes += bytes;
    const policyRevision = event.policy_revision;
    const grant = { decisionId, tenantId: event.tenant_id, requestId, fingerprint, policyRevision, written };
    this.#grants.add(grant);
    return grant;
  }

  #forget(segment: Segment, decisionId: string): void {
    segment.pending.delete(decisionId);
    this.#grants.remove(decisionId);
    const { allowed, charged } = this.#episode;
    if (this.pending > 0 || allowed + charged === 0) return;
    this.#options.log.info({ allowed, charged }, 'what was allowed while the counters were away is charged');
    this.#episode = { allowed: 0, charged: 0 };
  }

  #giveUp(segment: Segment, decisionId: string, about: object, what: string): void {
    this.#setAside += 1;
    this.#options.log.error({ ...about, decision_id: decisionId }, `what was allowed ${what}; it stays uncharged`);
    this.#forget(segment, decisionId);
  }
}

const messageOf = (error: unknown) => (error as Error).message;

/** The homes that others left, and our own. Who only denies needs none, and starts also where nothing can be read. */
async function homes(root: string, { allow, log }: OwedJournalOptions): Promise<{ left: Home[]; home?: Home }> {
  try {
    const left = await Home.left(root, log);
    return allow ? { left, home: await Home.found(root) } : { left };
  } catch (error) {
    if (allow) throw notWritable(root, error);
    log.error(
      { err: error, path: root },
      'it cannot be seen whether something that was allowed is still to be charged',
    );
    return { left: [] };
  }
}

const notWritable = (root: string, error: unknown) =>
  new ConfigError([
    `environment: ON_STORE_FAILURE=allow writes down in DATA_DIR what it allows, and nothing can be written to ${root} ` +
      `(${messageOf(error)}); let this process's user write there, set DATA_DIR to another folder, or set ON_STORE_FAILURE to deny`,
  ]);
