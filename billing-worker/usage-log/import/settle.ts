import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import type { Unsettled } from '../unsettled.ts';
import { type Ask, statusOf } from './ask.ts';
import { type Patience, patiently } from './patiently.ts';

export interface SettleOptions {
  worker: Ask;
  sidecar: Ask;
  bytesPerToken: number;
  /** Younger decisions are left alone: a report of what was really used may still come. */
  olderThanS: number;
  patience: Patience;
}

export interface Settled {
  settled: number;
  voided: number;
  /** Those that the sidecar no longer knows, or that somebody reported meanwhile. */
  refused: number;
}

const PAGE = 500;
/** Not known (any more), reported by somebody else, too old. */
const REFUSALS = [404, 409, 410];
/** Once answered, not asked again by this process: the ledger hears of it a while later, or never. */
const REMEMBERED = 100_000;

const pageSchema = z.object({
  data: z.array(
    z.object({
      decision_id: z.string(),
      tenant_id: z.string(),
      status: z.int(),
      bytes_in: z.int(),
      bytes_out: z.int(),
    }),
  ),
  next: z.string().nullable(),
});

/** Reports calls that nobody has reported, with what their bytes come to. */
export class Settler {
  readonly #options: SettleOptions;
  readonly #answered = new LRUCache<string, true>({ max: REMEMBERED });

  constructor(options: SettleOptions) {
    this.#options = options;
  }

  /** Throws what either service refuses for good. */
  async run(): Promise<Settled> {
    const counts = { settled: 0, voided: 0, refused: 0 };
    for (let after: string | null = ''; after !== null; ) {
      const page = await this.#page(after);
      for (const call of page.data) {
        if (this.#answered.has(call.decision_id)) continue;
        this.#options.patience.signal.throwIfAborted();
        counts[await this.#report(call)]++;
        this.#answered.set(call.decision_id, true);
      }
      after = page.next;
    }
    return counts;
  }

  async #page(after: string) {
    const { olderThanS, patience, worker } = this.#options;
    const query = new URLSearchParams({
      limit: String(PAGE),
      older_than_s: String(olderThanS),
      ...(after && { after }),
    });
    return pageSchema.parse(JSON.parse(await patiently(() => worker(`/v1/usage-log/unsettled?${query}`), patience)));
  }

  async #report(call: Unsettled): Promise<keyof Settled> {
    const { bytesPerToken, patience, sidecar } = this.#options;
    const init = {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: Buffer.from(JSON.stringify(reportOf(call, bytesPerToken))),
    };
    try {
      const { state } = JSON.parse(await patiently(() => sidecar('/v1/usage', init), patience));
      return state === 'voided' ? 'voided' : 'settled';
    } catch (error) {
      if (REFUSALS.includes(statusOf(error) ?? 0)) return 'refused';
      throw error;
    }
  }
}

/** The body of `POST /v1/usage`. What failed at the gateway or behind it has used nothing. */
export function reportOf({ bytes_in, bytes_out, decision_id, status, tenant_id }: Unsettled, bytesPerToken: number) {
  const whose = { decision_id, tenant_id };
  if (status >= 500) return { ...whose, outcome: 'failed' };
  const tokens = (bytes: number) => Math.ceil(bytes / bytesPerToken);
  return { ...whose, outcome: 'succeeded', usage: { input: tokens(bytes_in), output: tokens(bytes_out) } };
}
