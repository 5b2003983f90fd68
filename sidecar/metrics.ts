import { Counter, type Registry } from 'prom-client';
import type { Clock } from '../runtime/clock.ts';
import { gaugeOf, infoOf, totalOf } from '../runtime/metrics/observed.ts';
import { QuickHistogram, type Series } from '../runtime/metrics/quick-histogram.ts';
import type { DecisionSpans } from '../runtime/tracing/tracing.ts';
import { reasonSchema } from '../schemas/reasons.ts';
import type { Answer } from './decision/answer.ts';
import type { Conflict } from './decision/decide.ts';
import { UsedLimits } from './metrics/used-limits.ts';
import type { PolicyStatus } from './policy/status.ts';

const DENIALS = reasonSchema.options.filter((reason) => reason !== 'ok');

/** Decisions of one package, by reason. */
interface Tally {
  duration: Series;
  allowed: Map<string, number>;
  denied: Map<string, number>;
  degraded: { allowed: number; denied: number };
}

/** Counts decisions and how long they take. Labels have few values: no tenant, user or model is one. */
export class DecisionMetrics {
  readonly limits: UsedLimits;
  readonly #clock: Clock;
  readonly #spans: DecisionSpans | undefined;
  readonly #duration: QuickHistogram;
  readonly #packages = new Map<string, Tally>();
  #throttled = 0;

  constructor(registry: Registry, clock: Clock, spans?: DecisionSpans) {
    this.#clock = clock;
    this.#spans = spans;
    this.limits = new UsedLimits(registry, clock);
    this.#duration = new QuickHistogram({
      name: 'openclaw_decision_duration_seconds',
      help: 'Time from the parsed request to the decision.',
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
      registers: [registry],
    });
    observeTallies(registry, this.#packages);
    const help = 'Decisions whose status is 429: a limit or a budget was short.';
    totalOf(registry, 'openclaw_throttled_decisions_total', help, () => this.#throttled);
  }

  /** A decision that began at `start`, on the monotonic clock. `tenant`: whose it is. */
  note(pkg: string, start: number, answer: Answer | Conflict, tenant = ''): void {
    const tally = this.#packages.get(pkg) ?? this.#tally(pkg);
    tally.duration.observe((this.#clock.monotonic() - start) / 1000);
    if (answer === 'conflict') add(tally.denied, 'conflict');
    else this.#count(tally, answer, tenant);
  }

  #count(tally: Tally, answer: Answer, tenant: string): void {
    const { allow, reason, status } = answer.decision;
    add(allow ? tally.allowed : tally.denied, reason);
    if (status === 429 && !allow) this.#throttled += 1;
    if (answer.degraded) tally.degraded[allow ? 'allowed' : 'denied'] += 1;
    if (answer.plan && answer.outcome && !answer.replayed) this.limits.note(tenant, answer.plan, answer.outcome);
    this.#spans?.decided(answer.decisionId, allow, reason);
  }

  #tally(pkg: string): Tally {
    const tally: Tally = {
      duration: this.#duration.series({ package: pkg }),
      allowed: new Map(),
      denied: new Map(),
      degraded: { allowed: 0, denied: 0 },
    };
    this.#packages.set(pkg, tally);
    return tally;
  }
}

const add = (counts: Map<string, number>, reason: string) => counts.set(reason, (counts.get(reason) ?? 0) + 1);

function observeTallies(registry: Registry, packages: ReadonlyMap<string, Tally>): void {
  new Counter({
    name: 'openclaw_decisions_total',
    help: 'Decisions on metered packages, by result and reason.',
    labelNames: ['package', 'allow', 'reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [pkg, { allowed, denied }] of packages) {
        // From 0 on: of a reason that begins with its first denial, that one would not be seen as an increase.
        for (const reason of DENIALS) this.inc({ package: pkg, allow: 'false', reason }, 0);
        for (const [reason, count] of allowed) this.inc({ package: pkg, allow: 'true', reason }, count);
        for (const [reason, count] of denied) this.inc({ package: pkg, allow: 'false', reason }, count);
      }
    },
  });
  new Counter({
    name: 'openclaw_degraded_decisions_total',
    help: 'Decisions made without the counters, by ON_STORE_FAILURE=allow.',
    labelNames: ['package', 'allow'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [pkg, { degraded }] of packages) {
        this.inc({ package: pkg, allow: 'true' }, degraded.allowed);
        this.inc({ package: pkg, allow: 'false' }, degraded.denied);
      }
    },
  });
}

/** Which policy is in force. */
export function observePolicyRevision(registry: Registry, status: () => PolicyStatus): void {
  infoOf(
    registry,
    { name: 'openclaw_policy_info', help: 'The revision of the policy in force.', labelNames: ['revision'] },
    () => {
      const revision = status().activeRevision;
      return revision === undefined ? undefined : { revision };
    },
  );
}

/** What a kill of this process would lose. */
export function observeDenials(registry: Registry, denials: { unwritten: number }): void {
  const help = 'Denials that are counted in this process and not in the usage stream yet.';
  gaugeOf(registry, 'openclaw_denials_unwritten', help, () => denials.unwritten);
}

/** Takes that a policy refused afterwards, while the store was away. */
export function observeRevocations(registry: Registry, revocations: { pending: number }): void {
  const help = 'Takes of refused decisions that are still to be given back.';
  gaugeOf(registry, 'openclaw_revocations_pending', help, () => revocations.pending);
}

/** What was allowed while the store was away. */
export function observeOwed(registry: Registry, owed: { pending: number; setAside: number }): void {
  gaugeOf(
    registry,
    'openclaw_owed_pending',
    'Decisions that were allowed while the counters were away and are not charged yet.',
    () => owed.pending,
  );
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
