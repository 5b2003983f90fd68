import type { Log } from '../../runtime/log.ts';
import type { LiveBudgetGrant } from '../counters/budget-grant.ts';
import type { CounterStore } from '../counters/contract.ts';

/** A grant made at another sidecar counts here within about so long. */
const LOOK_EVERY_MS = 1_000;

export interface GrantedDeps {
  store: Pick<CounterStore, 'budgetGrants'>;
  /** Epoch milliseconds: a grant that has expired no longer counts, also while the store is away. */
  now(): number;
  log: Log;
}

/** The boosts of budgets that count now, as they were a moment ago: no decision waits for the store to tell. */
export class Granted {
  readonly #deps: GrantedDeps;
  #version: string | undefined;
  #byUser: ReadonlyMap<string, readonly LiveBudgetGrant[]> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isStopped = false;
  #isAway = false;

  constructor(deps: GrantedDeps) {
    this.#deps = deps;
  }

  /** Tokens on top of each of the user's budgets. */
  tokens(tenantId: string, userId: string | undefined): number {
    if (userId === undefined || this.#byUser.size === 0) return 0;
    return this.of(tenantId, userId).reduce((sum, { tokens }) => sum + tokens, 0);
  }

  of(tenantId: string, userId: string): LiveBudgetGrant[] {
    const now = this.#deps.now();
    return (this.#byUser.get(keyOf(tenantId, userId)) ?? []).filter(({ expiresAt }) => now < expiresAt);
  }

  /** Looks once before it resolves; a store that is away is asked again later. */
  async start(): Promise<void> {
    await this.look();
    this.#lookLater();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  /** What counts now. Never rejects. */
  async look(): Promise<void> {
    const { log, store } = this.#deps;
    try {
      const found = await store.budgetGrants(this.#version);
      this.#isAway = false;
      if (!found) return;
      this.#version = found.version;
      this.#byUser = byUser(found.grants);
    } catch (error) {
      if (!this.#isAway) log.warn({ err: error }, 'grants of budgets cannot be read: those that are known go on');
      this.#isAway = true;
    }
  }

  #lookLater(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.look().then(() => this.#lookLater());
    }, LOOK_EVERY_MS);
    this.#timer.unref();
  }
}

function byUser(grants: readonly LiveBudgetGrant[]): Map<string, LiveBudgetGrant[]> {
  const found = new Map<string, LiveBudgetGrant[]>();
  for (const grant of grants) {
    const key = keyOf(grant.tenantId, grant.userId);
    found.set(key, [...(found.get(key) ?? []), grant]);
  }
  return found;
}

const keyOf = (tenantId: string, userId: string) => JSON.stringify([tenantId, userId]);
