import { Counter, Histogram, type Registry } from 'prom-client';
import type { Clock } from '../runtime/clock.ts';
import type { Answer } from './decision/answer.ts';
import type { Conflict } from './decision/decide.ts';

/** Counts decisions and how long they take. Labels have few values: no tenant, user or model is one. */
export class DecisionMetrics {
  readonly #clock: Clock;
  readonly #decisions: Counter;
  readonly #duration: Histogram;

  constructor(registry: Registry, clock: Clock) {
    this.#clock = clock;
    this.#decisions = new Counter({
      name: 'openclaw_decisions_total',
      help: 'Decisions on metered packages, by result and reason.',
      labelNames: ['package', 'allow', 'reason'],
      registers: [registry],
    });
    this.#duration = new Histogram({
      name: 'openclaw_decision_duration_seconds',
      help: 'Time from the parsed request to the decision.',
      labelNames: ['package'],
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
      registers: [registry],
    });
  }

  async observe(pkg: string, decide: () => Promise<Answer | Conflict>): Promise<Answer | Conflict> {
    const start = this.#clock.monotonic();
    const answer = await decide();
    this.#duration.observe({ package: pkg }, (this.#clock.monotonic() - start) / 1000);
    const { allow, reason } = answer === 'conflict' ? { allow: false, reason: 'conflict' } : answer.decision;
    this.#decisions.inc({ package: pkg, allow: String(allow), reason });
    return answer;
  }
}
