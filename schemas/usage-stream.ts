/** The usage stream of one partition, in Redis. The hash tag keeps it in one slot with the partition's counters. */
export const usageStreamKey = (partition: number): string => `ocr:{p${partition}}:usage`;

/** Of a Redis Cluster. Stored with the data: another number would look for a tenant's counters in another slot. */
export const CLUSTER_PARTITIONS = 64;

/** One entry of the usage stream as the store holds it: its id, and the JSON of a usage event, unread. */
export interface StreamEntry {
  /** The name of the stream that holds it, for Redis its key. */
  stream: string;
  /**
   * The store's own id; opaque, ordered, never read as time. Of several partitions each counts by itself, so there the
   * partition's number is behind it, as in a decision's id: `1768478400000-0.7`.
   */
  id: string;
  /** The text of field `e`; undefined if an entry has no such field. */
  event: string | undefined;
  /** How often this entry was delivered before, 0 at first. */
  redelivered: number;
}

export interface StreamLag {
  /** Entries not yet acknowledged. */
  entries: number;
  /** Age of the oldest of them in milliseconds, 0 if there is none. */
  oldestMs: number;
}

/**
 * The usage stream as its one reading group, the ledger, sees it. Promises, the same on every store:
 * - an entry is delivered to one reader at a time, in order, and again until it is acknowledged;
 * - what a reader took and never acknowledged is found by `reclaim`, by the same reader at its next start at once,
 *   by any other after `idleMs`; what no reader holds any more, by any;
 * - an entry is deleted only once it is acknowledged;
 * - of several partitions, the ones that are there are not held up by the ones that are away: each call does what it
 *   can, and throws only if it can do nothing. What was left undone is made up for when the partition is back.
 */
export interface UsageStream {
  /** Up to `count` new entries; waits up to `waitMs` for the first, then answers with none. */
  read(count: number, waitMs: number): Promise<StreamEntry[]>;
  /** Up to `count` entries that this reader took before a restart, or that another reader left for `idleMs`. */
  reclaim(count: number, idleMs: number): Promise<StreamEntry[]>;
  /** Only after COMMIT. Deletes these, and nothing else. */
  acknowledge(ids: string[]): Promise<void>;
  /** Of all partitions: throws if one is away, because the rest would look like all there is. */
  lag(): Promise<StreamLag>;
  close(): Promise<void>;
}
