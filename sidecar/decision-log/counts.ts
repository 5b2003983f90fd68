/**
 * Why a decision is not in the log: too many waited in memory, the policy said so, the spool was full (the oldest go), the
 * spool or file could not be written or read, one event alone is longer than an upload may be, the process ended first,
 * or this program is wrong.
 */
export const DROP_REASONS = [
  'queue_full',
  'policy',
  'spool_full',
  'spool_failed',
  'file_failed',
  'console_failed',
  'too_large',
  'closed',
  'failed',
] as const;

export type DropReason = (typeof DROP_REASONS)[number];

/** What became of the decisions since the start. */
export class DecisionLogCounts {
  /** All that were to be logged. */
  recorded = 0;
  /** Logged without input and result, because `system.log` failed. */
  maskFailures = 0;
  /** Accepted by the service, and attempts that it did not accept. */
  uploaded = 0;
  uploadFailures = 0;
  readonly #dropped = new Map<DropReason, number>();

  drop(reason: DropReason, events = 1): void {
    this.#dropped.set(reason, this.dropped(reason) + events);
  }

  dropped(reason: DropReason): number {
    return this.#dropped.get(reason) ?? 0;
  }
}
