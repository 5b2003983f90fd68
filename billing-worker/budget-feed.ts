import type { LedgerRow } from './ledger/ledger-row.ts';

/** A user's budget has moved: `used` is what is in use since then, of `limit`, in its unit. */
export interface BudgetMove {
  tenant_id: string;
  user_id: string;
  limit: string;
  unit: string;
  /** Signed: a settle may give some of it back. */
  change: number;
  used: number;
  type: string;
  decision_id: string;
  /** RFC 3339. */
  at: string;
}

/** So many wait for one who reads slowly: beyond, the oldest are left out, and counted. */
const MAX_WAITING = 1_000;

/** So many follow at once: each has a connection, and what waits for it. */
const MAX_FOLLOWERS = 1_000;

/** One who follows the moves. */
export class Follower {
  #waiting: BudgetMove[] = [];
  #missed = 0;
  #wake: (() => void) | undefined;

  give(moves: readonly BudgetMove[]): void {
    this.#waiting.push(...moves);
    const over = this.#waiting.length - MAX_WAITING;
    if (over > 0) {
      this.#waiting.splice(0, over);
      this.#missed += over;
    }
    this.#wake?.();
  }

  /** What has moved since the last time, and how many moves were left out; nothing after so long without any. */
  async next(waitMs: number): Promise<{ moves: BudgetMove[]; missed: number }> {
    if (this.#waiting.length === 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    const told = { moves: this.#waiting, missed: this.#missed };
    this.#waiting = [];
    this.#missed = 0;
    return told;
  }

  /** Nobody waits any more. */
  end(): void {
    this.#wake?.();
  }
}

/** Tells whoever follows which budgets have moved, as soon as it is in the ledger: what this worker has written, that is. */
export class BudgetFeed {
  readonly #followers = new Set<Follower>();

  publish(rows: readonly LedgerRow[]): void {
    if (this.#followers.size === 0) return;
    const moves = rows.flatMap(movesOf);
    if (moves.length) for (const follower of this.#followers) follower.give(moves);
  }

  /** No more may follow. */
  get isFull(): boolean {
    return this.#followers.size >= MAX_FOLLOWERS;
  }

  follow(): Follower {
    const follower = new Follower();
    this.#followers.add(follower);
    return follower;
  }

  leave(follower: Follower): void {
    this.#followers.delete(follower);
    follower.end();
  }

  /** So that a server that ends need not wait for them. */
  close(): void {
    for (const follower of this.#followers) this.leave(follower);
  }

  has(follower: Follower): boolean {
    return this.#followers.has(follower);
  }
}

function movesOf({ at, decision_id, limits, tenant_id, type, user_id }: LedgerRow): BudgetMove[] {
  if (user_id === undefined || user_id === null || tenant_id === undefined) return [];
  return limits
    .filter(({ amount, id, kind }) => kind === 'window' && amount !== 0 && id.startsWith(`user:${user_id}:`))
    .map(({ after, amount, id, unit }) => ({
      tenant_id,
      user_id,
      limit: id,
      unit,
      change: amount,
      used: after,
      type,
      decision_id,
      at: at.toISOString(),
    }));
}
