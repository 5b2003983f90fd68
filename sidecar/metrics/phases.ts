import { Gauge, type Registry } from 'prom-client';
import type { Clock } from '../../runtime/clock.ts';
import { QuickHistogram, type Series } from '../../runtime/metrics/quick-histogram.ts';
import type { PhaseSpans } from '../../runtime/tracing/tracing.ts';

const PHASES = ['identify', 'plan', 'take', 'decide'] as const;

type PhaseName = (typeof PHASES)[number];

/** A remembered plan takes microseconds, a store that is away up to STORE_TIMEOUT_MS. */
const BUCKETS = [1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

/**
 * One phase of all decisions. `begin` before it, `end` after it, whatever comes of it: how long it takes, and how many are in it
 * right now, which is the queue in front of the policy's thread or the store.
 */
export class Phase {
  readonly #name: PhaseName;
  readonly #series: Series;
  readonly #clock: Clock;
  readonly #spans: PhaseSpans | undefined;
  #begun = 0;
  #ended = 0;

  constructor(name: PhaseName, series: Series, { clock, spans }: { clock: Clock; spans: PhaseSpans | undefined }) {
    this.#name = name;
    this.#series = series;
    this.#clock = clock;
    this.#spans = spans;
  }

  get inProgress(): number {
    return this.#begun - this.#ended;
  }

  /** Hand what it gives to `end`. */
  begin(): number {
    this.#begun += 1;
    return this.#clock.monotonic();
  }

  end(begun: number): void {
    const now = this.#clock.monotonic();
    this.#ended += 1;
    this.#series.observe((now - begun) / 1_000);
    this.#spans?.phase(this.#name, begun, now);
  }
}

/** Does work in a phase, where phases are measured. What is there at once makes nobody wait for a turn. */
export function during<Result>(phase: Phase | undefined, work: () => Result): Result;
export function during<Result>(
  phase: Phase | undefined,
  work: () => Result | Promise<Result>,
): Result | Promise<Result> {
  if (!phase) return work();
  const begun = phase.begin();
  let result: Result | Promise<Result>;
  try {
    result = work();
  } catch (error) {
    phase.end(begun);
    throw error;
  }
  if (result instanceof Promise) return ended(result, phase, begun);
  phase.end(begun);
  return result;
}

async function ended<Result>(result: Promise<Result>, phase: Phase, begun: number): Promise<Result> {
  try {
    return await result;
  } finally {
    phase.end(begun);
  }
}

export type Phases = Readonly<Record<PhaseName, Phase>>;

/** The phases of a decision, in their order. `spans`: undefined where nothing is traced. */
export function measuredPhases(registry: Registry, clock: Clock, spans?: PhaseSpans): Phases {
  const duration = new QuickHistogram({
    name: 'openclaw_phase_duration_seconds',
    help: 'Time that decisions take in each phase: identify, plan, take, decide.',
    buckets: BUCKETS,
    registers: [registry],
  });
  const phase = (name: PhaseName) => new Phase(name, duration.series({ phase: name }), { clock, spans });
  const phases: Phases = {
    identify: phase('identify'),
    plan: phase('plan'),
    take: phase('take'),
    decide: phase('decide'),
  };
  new Gauge({
    name: 'openclaw_phase_in_progress',
    help: 'Decisions that are in each phase now: in plan and decide they wait for the policy, in take for the counters.',
    labelNames: ['phase'],
    registers: [registry],
    collect() {
      for (const name of PHASES) this.set({ phase: name }, phases[name].inProgress);
    },
  });
  return phases;
}
