import { Counter, Gauge, type Registry } from 'prom-client';
import type { BundleReport } from './bundle-report.ts';
import type { MemoCounts } from './memo.ts';
import type { Policies } from './policies.ts';
import type { SlowCounts } from './slow-counts.ts';

interface Observed {
  policies: Policies;
  report: BundleReport;
  memoCounts: MemoCounts;
  slowCounts: SlowCounts;
}

/** Whether the policy in force is what its bundle says, why not, and how often an answer was known already. */
export function observePolicies(registry: Registry, observed: Observed): void {
  observeBundle(registry, observed.report);
  observeMemo(registry, observed);
  observeSlow(registry, observed);
}

/** Whether there is a policy to compare with. */
export function observeShadowBundle(registry: Registry, report: BundleReport): void {
  gauge(registry, 'openclaw_shadow_active', '1 while there is a shadow policy.', () =>
    report.status.activeRevision === undefined ? 0 : 1,
  );
  gauge(
    registry,
    'openclaw_shadow_bundle_failing',
    '1 while the last attempt to load the shadow bundle came to nothing.',
    () => (report.status.problem ? 1 : 0),
  );
}

function observeBundle(registry: Registry, report: BundleReport): void {
  gauge(registry, 'openclaw_policy_active', '1 while there is a policy, 0 before the first.', () =>
    report.status.activeRevision === undefined ? 0 : 1,
  );
  gauge(registry, 'openclaw_bundle_failing', '1 while the last attempt to load the bundle came to nothing.', () =>
    report.status.problem ? 1 : 0,
  );
  gauge(
    registry,
    'openclaw_bundle_kept',
    '1 while the bundle kept in DATA_DIR is used in place of what its server gives.',
    () => (report.status.kept ? 1 : 0),
  );
  gauge(registry, 'openclaw_bundle_activated_seconds', 'When the policy in force was activated, Unix time.', () =>
    Math.floor((report.status.lastSuccessfulActivation ?? 0) / 1000),
  );
  new Counter({
    name: 'openclaw_bundle_activations_total',
    help: 'Bundles that were put in force.',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(report.activations);
    },
  });
  new Counter({
    name: 'openclaw_bundle_failures_total',
    help: 'Attempts to load the bundle that came to nothing, by what was wrong.',
    labelNames: ['reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [reason, count] of Object.entries(report.failures)) this.inc({ reason }, count);
    },
  });
}

function observeMemo(registry: Registry, { memoCounts, policies }: Observed): void {
  new Counter({
    name: 'openclaw_policy_memo_total',
    help: 'Plans and decisions asked of a pure policy: known already (hit), or evaluated (miss).',
    labelNames: ['result'],
    registers: [registry],
    collect() {
      this.reset();
      this.inc({ result: 'hit' }, memoCounts.hits);
      this.inc({ result: 'miss' }, memoCounts.misses);
    },
  });
  gauge(registry, 'openclaw_policy_memo_entries', 'Plans and decisions remembered.', () => policies.remembered ?? 0);
}

function observeSlow(registry: Registry, { slowCounts }: Observed): void {
  new Counter({
    name: 'openclaw_policy_slow_evaluations_total',
    help: 'Evaluations that took long: moved out of the way, timed out, or refused unevaluated.',
    labelNames: ['result'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [result, count] of Object.entries(slowCounts)) this.inc({ result }, count);
    },
  });
}

function gauge(registry: Registry, name: string, help: string, value: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(value());
    },
  });
}
