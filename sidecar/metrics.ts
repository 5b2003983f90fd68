import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Clock } from '../runtime/clock.ts';
import type { ConfigStatus } from '../runtime/config/live-config.ts';
import type { Answer } from './decision/answer.ts';
import type { Conflict } from './decision/decide.ts';

/** Counts decisions and how long they take. Labels have few values: no tenant, user or model is one. */
export class DecisionMetrics {
  readonly #clock: Clock;
  readonly #decisions: Counter;
  readonly #degraded: Counter;
  readonly #duration: Histogram;

  constructor(registry: Registry, clock: Clock) {
    this.#clock = clock;
    this.#decisions = new Counter({
      name: 'openclaw_decisions_total',
      help: 'Decisions on metered packages, by result and reason.',
      labelNames: ['package', 'allow', 'reason'],
      registers: [registry],
    });
    this.#degraded = new Counter({
      name: 'openclaw_degraded_decisions_total',
      help: 'Decisions made without the counters, by ON_STORE_FAILURE=allow.',
      labelNames: ['package', 'allow'],
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
    if (answer !== 'conflict' && answer.degraded) this.#degraded.inc({ package: pkg, allow: String(allow) });
    return answer;
  }
}

/** What a kill of this process would lose. */
export function observeDenials(registry: Registry, denials: { unwritten: number }): void {
  new Gauge({
    name: 'openclaw_denials_unwritten',
    help: 'Denials that are counted in this process and not in the usage stream yet.',
    registers: [registry],
    collect() {
      this.set(denials.unwritten);
    },
  });
}

/** What was allowed while the store was away. */
export function observeOwed(registry: Registry, owed: { pending: number; setAside: number }): void {
  new Gauge({
    name: 'openclaw_owed_pending',
    help: 'Decisions that were allowed while the counters were away and are not charged yet.',
    registers: [registry],
    collect() {
      this.set(owed.pending);
    },
  });
  totalOf(
    registry,
    'openclaw_owed_set_aside_total',
    'Of these, given up: see DATA_DIR/owed/aside.',
    () => owed.setAside,
  );
}

/** What no more grants may be remembered for. */
export function observeRecordsFull(registry: Registry, alarm: { denied: number }): void {
  const help = 'Denials because MAX_DECISION_RECORDS grants are remembered.';
  totalOf(registry, 'openclaw_records_full_total', help, () => alarm.denied);
}

/** Whether the configuration in use is what the files say. */
export function observeConfig(registry: Registry, status: () => ConfigStatus): void {
  new Gauge({
    name: 'openclaw_config_failing',
    help: '1 while the configuration files cannot be used; the configuration of before is in use.',
    registers: [registry],
    collect() {
      this.set(status().problems.length ? 1 : 0);
    },
  });
  totalOf(
    registry,
    'openclaw_config_reloads_total',
    'Changed configurations that came into use.',
    () => status().reloads,
  );
}

/** A counter that is kept elsewhere. */
function totalOf(registry: Registry, name: string, help: string, value: () => number): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(value());
    },
  });
}
