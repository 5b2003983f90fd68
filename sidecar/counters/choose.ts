import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import type { Candidate, ClosedGate, Limit, Plan } from '../../schemas/policy-io.ts';
import { acceptedWhys, shortLimit, whyOfGate } from './passed-over.ts';

export interface Choice {
  granted: boolean;
  /** The candidate that is taken; undefined if the plan names none or none has room. */
  candidate: Candidate | undefined;
  /** What is charged; of a refusal, what it is reported by: the common limits and the first candidate's. */
  limits: Limit[];
  /** What candidates were passed over for. */
  closed: ClosedGate[];
}

export interface Counters {
  grants(limit: Limit): boolean;
  /** When a limit that is short has room again; `MAX_AMOUNT`: never. */
  backAt(limit: Limit): number;
  /** A candidate's gates that are closed now. */
  closedGates(candidate: Candidate): ClosedGate[];
  /** How the model failed in this run. */
  failed?(model: string): string | undefined;
}

/**
 * The first candidate that nothing stands in the way of: its gates are open, it has not failed in this run, it may stand in for
 * those before it, and every limit of its own and of all candidates grants its cost.
 */
export function choose(plan: Plan, counters: Counters): Choice {
  const [first] = plan.candidates;
  const granted = plan.limits.every(counters.grants);
  if (!first) return { granted, candidate: undefined, limits: plan.limits, closed: [] };
  const passed = new PassedOver(counters, granted);
  const candidate = plan.candidates.find((one) => !passed.isPassedOver(one) && granted);
  return {
    granted: candidate !== undefined,
    candidate,
    limits: [...plan.limits, ...(candidate ?? first).limits],
    closed: passed.closed,
  };
}

class PassedOver {
  readonly closed: ClosedGate[] = [];
  readonly #whys: string[] = [];
  readonly #counters: Counters;
  readonly #granted: boolean;

  /** `granted`: the limits of all candidates have room. Where they have none, a candidate's own are not why. */
  constructor(counters: Counters, granted: boolean) {
    this.#counters = counters;
    this.#granted = granted;
  }

  isPassedOver(candidate: Candidate): boolean {
    const before = this.closed.length;
    const barred = this.#barred(candidate);
    if (barred !== undefined) this.#add(candidate, `on:${barred}`, MAX_AMOUNT, barred);
    for (const { gate, until } of this.#counters.closedGates(candidate)) {
      this.#add(candidate, gate, until, whyOfGate(gate));
    }
    const failure = this.#counters.failed?.(candidate.model);
    if (failure !== undefined) this.#add(candidate, `failed:${failure}`, MAX_AMOUNT, failure);
    if (this.#granted) this.#addLimits(candidate, before);
    return this.closed.length > before;
  }

  /** The first reason for which one before it was passed over and for which it is no candidate. */
  #barred({ on }: Candidate): string | undefined {
    if (!on) return undefined;
    const accepted = acceptedWhys(on);
    return this.#whys.find((why) => !accepted.includes(why));
  }

  /** Those that are shared, and those of the tenant only where nothing else is in the way. */
  #addLimits(candidate: Candidate, before: number): void {
    const short = candidate.limits.filter((limit) => !this.#counters.grants(limit));
    for (const isShared of [true, false]) {
      if (this.closed.length > before) return;
      for (const limit of short.filter(({ scope }) => (scope !== 'tenant') === isShared)) {
        const { gate, why } = shortLimit(limit);
        this.#add(candidate, gate, this.#counters.backAt(limit), why);
      }
    }
  }

  #add({ model }: Candidate, gate: string, until: number, why: string): void {
    this.closed.push({ gate, candidate: model, until });
    this.#whys.push(why);
  }
}
