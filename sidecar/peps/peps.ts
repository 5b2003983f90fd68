import { z } from 'zod';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';

const text = z.string().min(1).max(200);

/** What a policy enforcement point says of itself: the body of `POST /v1/peps`. */
export const pepReportSchema = z.strictObject({
  /** Of its process. */
  id: text,
  name: text,
  version: text.optional(),
  /** Whether it asks before each request that it should ask for. */
  gated: z.boolean(),
  /** Why not. */
  why: z.string().min(1).max(1_000).optional(),
  /** What happens there while no decision can be had. */
  on_failure: z.enum(['deny', 'allow']),
});

export type PepReport = z.infer<typeof pepReportSchema>;

export interface Pep extends PepReport {
  /** Epoch milliseconds. */
  lastSeen: number;
}

/** Five reports that did not come. */
const KEPT_MS = 5 * 60_000;
const MOST = 256;

/** The policy enforcement points that have said lately that they are there. Known to this sidecar alone, in its memory. */
export class Peps {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #peps = new Map<string, { report: PepReport; at: number; seen: number }>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Those that were heard of longest ago make room. */
  note(report: PepReport): void {
    const known = this.#peps.get(report.id)?.report;
    if (!report.gated && known?.gated !== false) {
      const { id, name, why } = report;
      this.#log.warn(
        { pep: { id, name, why } },
        'a policy enforcement point does not ask before it lets requests through',
      );
    }
    this.#peps.delete(report.id);
    this.#peps.set(report.id, { report, at: this.#clock.monotonic(), seen: this.#clock.now() });
    this.#drop();
  }

  /** The one that was heard of longest ago first. */
  list(): Pep[] {
    this.#drop();
    return [...this.#peps.values()].map(({ report, seen }) => ({ ...report, lastSeen: seen }));
  }

  #drop(): void {
    const oldest = this.#clock.monotonic() - KEPT_MS;
    for (const [id, { at }] of this.#peps) {
      if (at >= oldest && this.#peps.size <= MOST) return;
      this.#peps.delete(id);
    }
  }
}
