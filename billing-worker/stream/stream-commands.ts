/** The one group of readers that decides what may be deleted. */
export const GROUP = 'ledger';

/** An entry as it is delivered: its fields and values take turns; null where it was deleted meanwhile. */
export type Delivery = [id: string, fields: string[] | null];

export interface GroupState {
  /** The highest id that was delivered to any reader. */
  lastDelivered: string;
  /** Entries that were delivered and not acknowledged, and the lowest of their ids. */
  pending: number;
  firstPending: string | undefined;
  /** Entries not delivered yet; null where the server has lost count, because entries were deleted by hand. */
  undelivered: number | null;
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
  /** How often each of this reader's entries was delivered. */
  timesDelivered(first: string, last: string, count: number): Promise<Map<string, number>>;
  /**
   * Gives the group's state after it. Of what other readers take meanwhile, `firstPending` never knows less than
   * `lastDelivered`.
   */
  acknowledge(ids: string[]): Promise<GroupState | undefined>;
  /** Deletes what is below an id. */
  trim(minId: string): Promise<unknown>;
  backlog(): Promise<Backlog>;
  range(start: string, count: number): Promise<Delivery[]>;
  /** Creates the group, before the first entry, and the stream if need be. */
  createGroup(): Promise<unknown>;
  close(): Promise<void>;
}
