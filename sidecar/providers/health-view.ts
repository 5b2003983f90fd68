import type { Log } from '../../runtime/log.ts';
import type { CounterStore } from '../counters/contract.ts';
import { isHealthy, type ModelHealth } from '../counters/provider-health.ts';

/** What another sidecar learnt is known here within about so long. */
const LOOK_EVERY_MS = 1_000;

export interface HealthViewDeps {
  store: Pick<CounterStore, 'providerHealth'>;
  /** The accounts that there are now. */
  accounts: () => readonly string[];
  log: Log;
}

/**
 * What is known of the models of all accounts, as it was a moment ago. No decision rests on it: the store's gates are asked in
 * the take. It tells whether a success is worth a report to the store: of a model that works there is nothing to clear.
 */
export class HealthView {
  readonly #deps: HealthViewDeps;
  #known: ReadonlyMap<string, Map<string, ModelHealth>> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isStopped = false;
  #isAway = false;

  constructor(deps: HealthViewDeps) {
    this.#deps = deps;
  }

  /** Undefined: the model works. */
  of(account: string, model: string): ModelHealth | undefined {
    return this.#known.get(account)?.get(model);
  }

  /** What this sidecar has just learnt. */
  learn(account: string, model: string, health: ModelHealth): void {
    const models = new Map(this.#known.get(account));
    if (isHealthy(health)) models.delete(model);
    else models.set(model, health);
    this.#known = new Map(this.#known).set(account, models);
  }

  get all(): ReadonlyMap<string, ReadonlyMap<string, ModelHealth>> {
    return this.#known;
  }

  /** A store that is away is asked again later. */
  start(): void {
    this.#looking = this.#look().then(() => this.#lookLater());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { accounts, log, store } = this.#deps;
    try {
      const found = await Promise.all(
        accounts().map(async (account) => [account, (await store.providerHealth(account)).models] as const),
      );
      this.#known = new Map(found);
      this.#isAway = false;
    } catch (error) {
      if (!this.#isAway) log.warn({ err: error }, 'the health of providers cannot be read: what is known goes on');
      this.#isAway = true;
    }
  }

  #lookLater(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().then(() => this.#lookLater());
    }, LOOK_EVERY_MS);
    this.#timer.unref();
  }
}
