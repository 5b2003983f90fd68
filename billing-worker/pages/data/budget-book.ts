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
  /** Why there are none, or old ones, for people. */
  problem?: string | undefined;
}

/** What is shown of a user is asked for anew each time; the rest serves to search and sort, and may be so old. */
const LOOK_EVERY_MS = 15_000;
/** Older than this it is waited for. */
const TOO_OLD_MS = 120_000;
const PAGE = '1000';
const MOST_PAGES = 100;
const LOOK_TIMEOUT_MS = 20_000;

/** The budgets of all users. A sidecar computes them user by user, so they are asked for while somebody looks, and not for each page. */
export class BudgetBook {
  readonly #sidecar: SidecarApi;
  readonly #clock: Pick<Clock, 'monotonic'>;
  #kept: { budgets: Budgets; at: number } | undefined;
  #looking: Promise<Budgets> | undefined;

  constructor(sidecar: SidecarApi, clock: Pick<Clock, 'monotonic'>) {
    this.#sidecar = sidecar;
    this.#clock = clock;
  }

  async all(): Promise<Budgets> {
    const age = this.#kept ? this.#clock.monotonic() - this.#kept.at : Number.POSITIVE_INFINITY;
    if (this.#kept && age <= LOOK_EVERY_MS) return this.#kept.budgets;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#kept && age < TOO_OLD_MS ? this.#kept.budgets : this.#looking;
  }

  /** Of one user in one tenant, asked for now. Undefined: the sidecar does not tell. */
  async of(tenantId: string, userId: string): Promise<Budget | undefined> {
    const query = { tenant_id: tenantId, user_id: userId };
    const answer = await this.#sidecar.ask({ path: '/api/admin/budgets', query, schema: pageSchema });
    return answer.ok ? answer.value.users[0] : undefined;
  }

  async #look(): Promise<Budgets> {
    const rows: Budget[] = [];
    let after: string | undefined;
    for (let page = 0; page < MOST_PAGES; page++) {
      const query = { limit: PAGE, after };
      const asked = { path: '/api/admin/budgets', query, schema: pageSchema, timeoutMs: LOOK_TIMEOUT_MS };
      const answer = await this.#sidecar.ask(asked);
      if (!answer.ok) return this.#keep({ rows: this.#kept?.budgets.rows ?? [], problem: answer.message });
      rows.push(...answer.value.users);
      after = answer.value.next;
      if (after === undefined) break;
    }
    return this.#keep({ rows });
  }

  #keep(budgets: Budgets): Budgets {
    this.#kept = { budgets, at: this.#clock.monotonic() };
    return budgets;
  }
}
