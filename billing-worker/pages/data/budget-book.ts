import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import type { Clock } from '../../../runtime/clock.ts';
import type { SidecarApi } from './sidecar-api.ts';

const budgetSchema = z.object({
  user_id: z.string(),
  tenant_id: z.string().optional(),
  daily_used: z.number(),
  daily_limit: z.number().nullable(),
  monthly_used: z.number(),
  monthly_limit: z.number().nullable(),
  status: z.enum(['ok', 'over_limit']),
});
const pageSchema = z.object({ users: z.array(budgetSchema), next: z.string().optional() });

/** Where one user stands, as `GET /api/admin/budgets` has it. */
export type Budget = z.output<typeof budgetSchema>;

export interface Budgets {
  rows: Budget[];
  /** They are being read for the first time: more will come. */
  isPartial: boolean;
  /** Why there are none, or old ones, for people. */
  problem: string | undefined;
}

const LOOK_EVERY_MS = 15_000;
/** A look that takes long is repeated less often: it takes no more than so much of the sidecar's time. */
const BUSY_SHARE = 0.1;
/** A page does not wait for longer: it shows what has come. */
const PATIENCE_MS = 1_500;
const PAGE = '200';
const LOOK_TIMEOUT_MS = 30_000;

/**
 * The budgets of all users, to search and sort by; those that are shown are asked for anew. A sidecar computes them user by user, so it
 * is asked while somebody looks, and not for each page.
 */
export class BudgetBook {
  readonly #sidecar: SidecarApi;
  readonly #clock: Pick<Clock, 'monotonic'>;
  /** By user: a user may have rows of several tenants. */
  #rows = new Map<string, Budget[]>();
  #isPartial = true;
  #problem: string | undefined;
  #nextLook = 0;
  #looking: Promise<void> | undefined;

  constructor(sidecar: SidecarApi, clock: Pick<Clock, 'monotonic'>) {
    this.#sidecar = sidecar;
    this.#clock = clock;
  }

  async all(): Promise<Budgets> {
    if (!this.#looking && this.#clock.monotonic() >= this.#nextLook) {
      this.#looking = this.#look().finally(() => {
        this.#looking = undefined;
      });
    }
    if (this.#looking && this.#isPartial)
      await Promise.race([this.#looking, wait(PATIENCE_MS, undefined, { ref: false })]);
    return {
      rows: [...this.#rows.values()].flat(),
      isPartial: this.#isPartial && !this.#problem,
      problem: this.#problem,
    };
  }

  /** Of one user in one tenant, asked for now. Undefined: the sidecar does not tell. */
  async of(tenantId: string, userId: string): Promise<Budget | undefined> {
    const query = { tenant_id: tenantId, user_id: userId };
    const answer = await this.#sidecar.ask({ path: '/api/admin/budgets', query, schema: pageSchema });
    return answer.ok ? answer.value.users[0] : undefined;
  }

  async #look(): Promise<void> {
    const began = this.#clock.monotonic();
    const seen = new Set<string>();
    let after: string | undefined;
    do {
      const query = { limit: PAGE, after };
      const asked = { path: '/api/admin/budgets', query, schema: pageSchema, timeoutMs: LOOK_TIMEOUT_MS };
      const answer = await this.#sidecar.ask(asked);
      this.#problem = answer.ok ? undefined : answer.message;
      if (!answer.ok) break;
      for (const row of answer.value.users) {
        const { user_id: userId } = row;
        this.#rows.set(userId, seen.has(userId) ? [...(this.#rows.get(userId) ?? []), row] : [row]);
        seen.add(userId);
      }
      after = answer.value.next;
    } while (after !== undefined);
    if (!this.#problem) {
      for (const userId of this.#rows.keys()) if (!seen.has(userId)) this.#rows.delete(userId);
      this.#isPartial = false;
    }
    const now = this.#clock.monotonic();
    this.#nextLook = now + Math.max(LOOK_EVERY_MS, (now - began) / BUSY_SHARE);
  }
}
