/** The one group of readers that decides what may be deleted: what it has acknowledged, and nothing else. */
export const GROUP = 'ledger';

/** An entry as it is delivered: its fields and values take turns; null where it was deleted meanwhile. */
export type Delivery = [id: string, fields: string[] | null];

export interface GroupState {
  /** The highest id that was delivered to any reader. */
  lastDelivered: string;
  /** Entries that were delivered and not acknowledged, and the lowest of their ids. */
  pending: number;
  firstPending: string | undefined;
}

export interface Backlog {
  /** Undefined if there is no such group. */
  group: GroupState | undefined;
  /** Entries in the stream. */
  length: number;
  /** The server's clock, epoch milliseconds. */
  now: number;
}

export interface Claimed {
  entries: Delivery[];
  /** Ids of claimed entries that were deleted meanwhile. */
  deleted: string[];
  /** From where to go on; `0-0` when through. */
  next: string;
}

/** Who reads which stream. */
export interface ReaderOptions {
  /** The stream's key, such as `ocr:{p0}:usage`. */
  key: string;
  /** This reader's name. The same at every start, it finds at once what it took before the last end. */
  consumer: string;
}

/** Flagged, it is carried out where memory is full: only what the group then reads and deletes makes room again. */
export const CREATE_GROUP = [
  '#!lua flags=allow-oom',
  `return redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')`,
].join('\n');

/**
 * What a reader of the group asks of the server. What the server answers with an error is thrown as an `ErrorReply`;
 * any other error leaves open whether the command was carried out.
 */
export interface StreamCommands {
  /** New entries; waits up to `waitMs` for the first. */
  readNew(count: number, waitMs: number): Promise<Delivery[]>;
  /** What this reader holds unacknowledged, after an id. */
  readOwn(after: string, count: number): Promise<Delivery[]>;
  /** Makes this reader's what any reader has held for `idleMs`. */
  claim(from: string, count: number, idleMs: number): Promise<Claimed>;
  /** Makes these this reader's: those that nobody holds, and those held for `idleMs`. What was deleted is left out. */
  claimForgotten(ids: string[], idleMs: number): Promise<Delivery[]>;
  /** How often each of this reader's entries was delivered. */
  timesDelivered(first: string, last: string, count: number): Promise<Map<string, number>>;
  /** Acknowledges and then deletes these, and no others; what was only acknowledged is found again as held by nobody. */
  acknowledge(ids: string[]): Promise<unknown>;
  backlog(): Promise<Backlog>;
  /** The oldest entries, up to an id; `(` before it leaves that one out, `+` is the newest. */
  oldest(end: string, count: number): Promise<Delivery[]>;
  /** Creates the group, before the first entry, and the stream if need be; also on a server whose memory is full. */
  createGroup(): Promise<unknown>;
  close(): Promise<void>;
}
