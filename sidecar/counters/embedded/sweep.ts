import type { GateState } from '../provider-health.ts';
import type { Counter, KeptBudgetGrant, KeptHealth, KeptRun, State } from './state.ts';

/** A circuit that nobody has gone through for so long is closed. */
const PROBED_TTL_MS = 24 * 60 * 60 * 1000;

/**
 * Drops what time has made meaningless: counters that can only be full, and records past their 24 hours. Each call looks
 * at a bounded number of them and goes on where the last one stopped, so that memory is bounded and no call is long.
 * Nothing of it is journaled: what was dropped before a crash is dropped again after it.
 */
export class Sweep {
  readonly #state: State;
  readonly #counters: Round<Counter>;
  readonly #gates: Round<GateState>;
  readonly #runs: Round<KeptRun>;
  readonly #health: Round<KeptHealth>;
  readonly #budgetGrants: Round<KeptBudgetGrant>;

  constructor(state: State) {
    this.#state = state;
    this.#counters = new Round(state.counters, ({ emptyAt }) => emptyAt);
    this.#gates = new Round(state.gates, forgottenFrom);
    this.#runs = new Round(state.runs, ({ expiresAt }) => expiresAt);
    this.#health = new Round(state.health, ({ expiresAt }) => expiresAt);
    this.#budgetGrants = new Round(state.budgetGrants, ({ until }) => until);
  }

  /** Looks at up to `budget` of each. */
  run(now: number, budget: number): void {
    this.#counters.run(now, budget);
    this.#gates.run(now, budget);
    this.#runs.run(now, budget);
    this.#health.run(now, budget);
    this.#budgetGrants.run(now, budget);
    for (let looked = 0; looked < budget; looked++) if (!this.#oldestRecord(now)) break;
  }

  /** All live equally long, so the oldest is the first to go. */
  #oldestRecord(now: number): boolean {
    const { open, records, requests } = this.#state;
    for (const [decisionId, { expiresAt, requestKey }] of records) {
      if (now < expiresAt) return false;
      records.delete(decisionId);
      open.delete(decisionId);
      if (requestKey !== null && requests.get(requestKey) === decisionId) requests.delete(requestKey);
      return true;
    }
    return false;
  }
}

const forgottenFrom = (gate: GateState) => (typeof gate === 'number' ? gate : gate[0] + PROBED_TTL_MS);

/** Goes round and round a map, and deletes what is over. */
class Round<Value> {
  readonly #map: Map<string, Value>;
  readonly #until: (value: Value) => number;
  #next: Iterator<[string, Value]>;

  constructor(map: Map<string, Value>, until: (value: Value) => number) {
    this.#map = map;
    this.#until = until;
    this.#next = map.entries();
  }

  run(now: number, budget: number): void {
    for (let looked = 0; looked < budget; looked++) {
      const { done, value } = this.#next.next();
      if (done) {
        this.#next = this.#map.entries();
        return;
      }
      if (now >= this.#until(value[1])) this.#map.delete(value[0]);
    }
  }
}
