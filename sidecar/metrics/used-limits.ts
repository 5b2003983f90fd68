import { Counter, Gauge, type Registry } from 'prom-client';
import type { Clock } from '../../runtime/clock.ts';
import { FromZero } from '../../runtime/metrics/observed.ts';
import type { Outcome, Plan } from '../../schemas/policy-io.ts';

/** Whose limits are shown: those that the operator names in the configuration. Of tenants and users there are too many. */
const SHOWN = new Set(['team', 'department', 'project']);
const MAX_SHOWN = 500;

/** What the id of a limit begins with, where the policy goes by the shipped one's custom. */
const TYPES = new Set(['user', 'role', 'team', 'department', 'project', 'tenant', 'provider']);

interface Shown {
  labels: { tenant: string; subject_type: string; subject: string; limit: string };
  ratio: number;
  /** Epoch milliseconds: then it is empty again, if nobody uses it. */
  resetAt: number;
}

const NONE: ReadonlyMap<string, Shown> = new Map();

/** How much of each team's, department's and project's limits is used, by the last decision that drew on them, and thresholds crossed. */
export class UsedLimits {
  readonly #clock: Clock;
  readonly #shown = new Map<string, Shown>();
  /** By limit. A plan is one object for as long as it is remembered, so this is looked up, and not made, for most decisions. */
  readonly #ofPlan = new WeakMap<Plan, ReadonlyMap<string, Shown>>();
  /** How often, by whose limit and at which percent. */
  readonly #crossed = new Map<string, Map<number, number>>();

  constructor(registry: Registry, clock: Clock) {
    this.#clock = clock;
    registerCrossed(registry, this.#crossed);
    const inUse = () => this.#inUse();
    new Gauge({
      name: 'openclaw_limit_used_ratio',
      help: 'Share of a limit of a team, department or project that is in use, by the last decision of this process.',
      labelNames: ['tenant', 'subject_type', 'subject', 'limit'],
      registers: [registry],
      collect() {
        this.reset();
        for (const { labels, ratio } of inUse()) this.set(labels, ratio);
      },
    });
  }

  note(tenant: string, plan: Plan, outcome: Outcome): void {
    const shown = this.#of(tenant, plan);
    for (const { capacity, crossed, id, reset_at, used } of outcome.limits) {
      if (crossed.length) this.crossed(id, crossed);
      const one = shown.get(id);
      if (!one) continue;
      one.ratio = capacity > 0 ? used / capacity : 1;
      one.resetAt = reset_at;
    }
  }

  /** `percents` of the capacity. */
  crossed(limit: string, percents: readonly number[]): void {
    const first = limit.split(':', 1)[0] ?? '';
    const type = TYPES.has(first) ? first : 'other';
    const counts = this.#crossed.get(type) ?? new Map<number, number>();
    for (const percent of percents) counts.set(percent, (counts.get(percent) ?? 0) + 1);
    this.#crossed.set(type, counts);
  }

  #of(tenant: string, plan: Plan): ReadonlyMap<string, Shown> {
    const known = this.#ofPlan.get(plan);
    if (known) return known;
    const limits = [...plan.limits, ...plan.candidates.flatMap((candidate) => candidate.limits)];
    const shown = limits.filter(({ subject }) => SHOWN.has(subject.type));
    const found = shown.length ? this.#slots(tenant, shown) : NONE;
    this.#ofPlan.set(plan, found);
    return found;
  }

  #slots(tenant: string, limits: Plan['limits']): ReadonlyMap<string, Shown> {
    const slots = new Map<string, Shown>();
    for (const { id, subject } of limits) {
      const key = JSON.stringify([tenant, subject.type, subject.id, id]);
      const labels = { tenant, subject_type: subject.type, subject: subject.id, limit: id };
      const slot = this.#shown.get(key) ?? { labels, ratio: 0, resetAt: 0 };
      if (!this.#shown.has(key) && this.#shown.size >= MAX_SHOWN) continue;
      this.#shown.set(key, slot);
      slots.set(id, slot);
    }
    return slots;
  }

  #inUse(): Shown[] {
    const now = this.#clock.now();
    return [...this.#shown.values()].filter(({ resetAt }) => resetAt > now);
  }
}

function registerCrossed(registry: Registry, crossed: ReadonlyMap<string, ReadonlyMap<number, number>>): void {
  const shown = new FromZero();
  new Counter({
    name: 'openclaw_thresholds_crossed_total',
    help: 'Thresholds of limits that were crossed, each once in its period whatever the number of sidecars, by whose limit it is.',
    labelNames: ['subject_type', 'percent'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [type, counts] of crossed) {
        for (const [percent, count] of counts) {
          this.inc({ subject_type: type, percent: String(percent) }, shown.at(`${type} ${percent}`, count));
        }
      }
    },
  });
}
