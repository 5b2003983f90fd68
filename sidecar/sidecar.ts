import type { Hono } from 'hono';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Clock } from '../runtime/clock.ts';
import type { Environment } from '../runtime/config/environment.ts';
import type { Config } from '../runtime/config/files.ts';
import type { Log } from '../runtime/log.ts';
import { compiled } from '../runtime/package-root.ts';
import type { Closers } from '../runtime/shutdown.ts';
import { createApp } from './app.ts';
import type { CounterStore } from './counters/contract.ts';
import { Decider } from './decision/decide.ts';
import { Expiry } from './decision/expiry.ts';
import { Revocations } from './decision/revocations.ts';
import { DecisionMetrics } from './metrics.ts';
import { BundleError, readBundle } from './policy/bundle.ts';
import { Policy } from './policy/policy.ts';

export interface SidecarDeps {
  environment: Environment;
  config: Config;
  store: CounterStore;
  clock: Clock;
  log: Log;
  closers: Closers;
}

/** Puts the sidecar together. Throws `BundleError` if its policy cannot be used. */
export async function createSidecar({ clock, closers, config, environment, log, store }: SidecarDeps): Promise<Hono> {
  const policy = await openPolicy(environment, config);
  closers.add('policy', () => policy.close());
  log.info({ revision: policy.revision, metered: [...policy.metered] }, 'policy is loaded');

  const revocations = new Revocations(store, log);
  closers.add('revocations', () => revocations.close());
  const expiry = new Expiry(store, log);
  expiry.start();
  closers.add('expiry', () => expiry.stop());
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  if (!environment.OPA_TOKEN) log.warn('OPA_TOKEN is not set: everyone on this machine may ask for decisions');
  return createApp({
    policy: () => policy,
    decider: new Decider({ policy: () => policy, store, revocations, clock, log }),
    store,
    metrics: new DecisionMetrics(registry, clock),
    registry,
    tokens: environment.OPA_TOKEN,
    maxBodyBytes: environment.MAX_BODY_BYTES,
    log,
  });
}

async function openPolicy({ POLICY_BUNDLE, POLICY_TIMEOUT_MS }: Environment, config: Config): Promise<Policy> {
  const bundle = await readBundle(POLICY_BUNDLE);
  try {
    return await Policy.open({
      bundle,
      config,
      timeoutMs: POLICY_TIMEOUT_MS,
      threadFile: compiled('sidecar/policy/evaluation-thread.js'),
    });
  } catch (error) {
    throw new BundleError(
      `${POLICY_BUNDLE}: policy.wasm cannot be loaded: ${(error as Error).message}; build it with \`opa build -t wasm\``,
    );
  }
}
