import { Registry } from 'prom-client';
import { v4 as uuidv4 } from 'uuid';
import type { Clock } from '../runtime/clock.ts';
import type { Environment } from '../runtime/config/environment.ts';
import type { LiveConfig } from '../runtime/config/live-config.ts';
import { policyData } from '../runtime/config/policy-data.ts';
import type { Log } from '../runtime/log.ts';
import type { Overload } from '../runtime/metrics/overload.ts';
import { observeProcess } from '../runtime/metrics/process.ts';
import { packageVersion } from '../runtime/package-root.ts';
import type { Closers } from '../runtime/shutdown.ts';
import type { Tracing } from '../runtime/tracing/tracing.ts';
import { Granted } from './admin/granted.ts';
import { createApp, type SidecarApp } from './app.ts';
import { AuditTrail } from './audit-trail.ts';
import type { CounterStore } from './counters/contract.ts';
import { Decider } from './decision/decide.ts';
import { Denials } from './decision/denials.ts';
import { Expiry } from './decision/expiry.ts';
import { OwedJournal } from './decision/owed/journal.ts';
import { Replay } from './decision/owed/replay.ts';
import { RecordsFullAlarm } from './decision/records-full.ts';
import { Revocations } from './decision/revocations.ts';
import { observeDecisionLog } from './decision-log/metrics.ts';
import { openDecisionLog } from './decision-log/open.ts';
import { Identities } from './identity/identities.ts';
import { RefusedCallers } from './identity/refused-callers.ts';
import { KeyChanges } from './keys/changes.ts';
import { IssuedKeys } from './keys/issued-keys.ts';
import { UseNotes } from './keys/use-notes.ts';
import { measuredPhases } from './metrics/phases.ts';
import { observeStore } from './metrics/store-health.ts';
import { UsageReports } from './metrics/usage-reports.ts';
import {
  DecisionMetrics,
  observeDenials,
  observeOwed,
  observePolicyRevision,
  observeRecordsFull,
  observeRevocations,
} from './metrics.ts';
import { openNotices } from './notices/open.ts';
import { Peps } from './peps/peps.ts';
import type { BundleListener } from './policy/bundle-report.ts';
import { openPolicies, openShadowPolicies } from './policy/open-policies.ts';
import type { Policies } from './policy/policies.ts';
import { HealthView } from './providers/health-view.ts';
import { LimitCorrections } from './providers/limit-corrections.ts';
import { observeProviders } from './providers/metrics.ts';
import { ProviderReports } from './providers/provider-reports.ts';
import type { Going } from './routes/health.ts';
import { HttpDurations } from './routes/http-metrics.ts';
import { ShadowCounts } from './shadow/counts.ts';
import { Shadow } from './shadow/shadow.ts';
import { SomeLines } from './shadow/some-lines.ts';
import type { SharingWorker } from './workers/worker.ts';

export interface SidecarDeps {
  environment: Environment;
  config: LiveConfig;
  store: CounterStore;
  clock: Clock;
  log: Log;
  closers: Closers;
  adminToken: string | undefined;
  /** Undefined: nothing is traced. */
  tracing?: Tracing | undefined;
  /** Whether a stop has begun. */
  going?: Going;
  /** Undefined: nobody is turned away, as no socket is listened on. */
  overload?: Overload | undefined;
  /** Undefined: this process is alone on its port. */
  worker?: SharingWorker | undefined;
}

/** Puts the sidecar together. Throws `BundleError` if its policy cannot be used. */
export async function createSidecar({
  adminToken,
  clock,
  closers,
  config,
  environment,
  log,
  store,
  tracing,
  worker,
  overload,
  going = { begun: false },
}: SidecarDeps): Promise<SidecarApp> {
  const registry = new Registry();
  worker?.share(registry);
  const phases = measuredPhases(registry, clock, tracing);
  const labels = { id: uuidv4(), version: packageVersion };
  const auditTrail = new AuditTrail({ store, instance: labels.id, clock, log });
  closers.add('audit', () => auditTrail.close());
  const listener = policyListener(auditTrail);
  const shared = { environment, config: config.current(), clock, log, closers, registry, listener };
  const policies = await openPolicies(shared);
  const shadowPolicies = await openShadowPolicies(shared);
  const denials = new Denials({ store, clock, log });
  denials.start();
  closers.add('denials', () => denials.close());
  const issued = new IssuedKeys({ store, clock, log });
  const useNotes = new UseNotes({ issued, store, log });
  useNotes.start();
  closers.add('uses of keys', () => useNotes.stop());
  const refusedCallers = new RefusedCallers({ denials, store, clock });
  const identities = await Identities.open(
    {
      tokens: environment.OPA_TOKEN,
      configDir: environment.CONFIG_DIR,
      issued,
      onRefused: (refused) => refusedCallers.note(refused),
      phase: phases.identify,
      clock,
      log,
    },
    config.current(),
  );
  closers.add('identities', () => identities.close());
  config.onChange(async (changed) => {
    await policies.reconfigure(policyData(changed));
    await shadowPolicies?.reconfigure(policyData(changed));
    await identities.use(changed);
  });
  config.onReload(({ changed, problems }) => {
    const target = changed.join(', ');
    if (problems.length === 0) auditTrail.note('config.loaded', { target });
    else auditTrail.note('config.refused', { target, reason: problems.join('; ') });
  });
  const granted = new Granted({ store, now: () => clock.now(), log });
  await granted.start();
  closers.add('grants of budgets', () => granted.stop());
  const health = new HealthView({ store, accounts: () => Object.keys(config.current().providers.accounts), log });
  health.start();
  closers.add('health of providers', () => health.stop());
  observeProviders(registry, health, () => clock.now());
  const notices = openNotices({ environment, registry, clock, log });
  closers.add('notices', async () => notices?.close());
  const revocations = new Revocations(store, log);
  closers.add('revocations', () => revocations.close());
  const expiry = new Expiry(store, log);
  expiry.start();
  closers.add('expiry', () => expiry.stop());
  const owed = await openOwed({ clock, closers, environment, log, store });
  const recordsFull = new RecordsFullAlarm(clock, log);
  observeProcess(registry, config.status);
  overload?.observe(registry);
  observeStore(registry, store);
  observePolicyRevision(registry, policies.status);
  observeRevocations(registry, revocations);
  observeDenials(registry, denials);
  observeOwed(registry, owed);
  observeRecordsFull(registry, recordsFull);
  const logging = await openDecisionLog({ environment, labels, clock, log, worker: worker?.number });
  if (logging) observeDecisionLog(registry, logging);
  closers.add('decision log', () => logging?.decisionLog.close());
  if (!environment.OPA_TOKEN) log.warn('OPA_TOKEN is not set: everyone on this machine may ask for decisions');
  return createApp({
    policy: policies.current,
    policyStatus: policies.status,
    shadow: shadowPolicies && openShadow(shadowPolicies, { clock, log, registry }),
    shadowStatus: shadowPolicies?.status,
    decider: new Decider({
      policy: policies.current,
      store,
      revocations,
      denials,
      owed,
      recordsFull,
      phases,
      clock,
      log,
    }),
    store,
    owed,
    going,
    decisionLog: logging?.decisionLog,
    metrics: new DecisionMetrics(registry, clock, tracing),
    usageReports: new UsageReports(registry),
    tracing,
    peps: new Peps(clock, log),
    durations: new HttpDurations(registry),
    allMetrics: async () => (await worker?.metrics()) ?? registry.metrics(),
    environment,
    identities,
    granted,
    keyChanges: new KeyChanges({ store, issued, clock }),
    notices,
    health,
    providerReports: new ProviderReports({
      store,
      view: health,
      corrections: new LimitCorrections({ store, clock, log }),
      config: config.current,
      random: Math.random,
      log,
    }),
    config: config.current,
    configStatus: config.status,
    adminToken,
    labels,
    clock,
    log,
  });
}

const policyListener = (auditTrail: AuditTrail): BundleListener => ({
  activated: ({ replaced, revision, role }) =>
    auditTrail.note('policy.activated', { target: `${role} ${revision}`, reason: `in the place of ${replaced}` }),
  refused: ({ message, role }) => auditTrail.note('policy.refused', { target: role, reason: message }),
});

/** So many differences are logged in a second; all are counted. */
const LINES_PER_SECOND = 10;

function openShadow(policies: Policies, { clock, log, registry }: { clock: Clock; log: Log; registry: Registry }) {
  return new Shadow({
    policy: () => policies.active,
    counts: new ShadowCounts(registry),
    log,
    lines: new SomeLines(clock, LINES_PER_SECOND),
  });
}

/** What was allowed before is charged in either mode. */
async function openOwed({
  clock,
  closers,
  environment: { DATA_DIR, ON_STORE_FAILURE },
  log,
  store,
}: Omit<SidecarDeps, 'adminToken' | 'config'>): Promise<OwedJournal> {
  const owed = await OwedJournal.open({ dataDir: DATA_DIR, allow: ON_STORE_FAILURE === 'allow', clock, log });
  closers.add('what is owed', () => owed.close());
  const replay = new Replay(owed, store, log);
  replay.start();
  closers.add('replay of what is owed', () => replay.stop());
  return owed;
}
