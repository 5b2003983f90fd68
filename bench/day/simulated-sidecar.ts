import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { parse, stringify } from 'yaml';
import type { Clock } from '../../runtime/clock.ts';
import { readEnvironment } from '../../runtime/config/environment.ts';
import { LiveConfig } from '../../runtime/config/live-config.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { Closers } from '../../runtime/shutdown.ts';
import { createSidecar } from '../../sidecar/sidecar.ts';
import { createScratchStore } from '../../sidecar/simulation/scratch-store.ts';
import { FALLBACK } from './day.ts';
import { ACCOUNTS } from './world.ts';

export interface SimulatedSidecar {
  // biome-ignore lint/suspicious/noExplicitAny: answers of several routes
  post(path: string, body: object): Promise<{ status: number; headers: Headers; body: any }>;
  close(): Promise<void>;
}

export interface SimulatedSidecarOptions {
  clock: Clock;
  /** Undefined: the accounts are not named, so that nothing is limited. */
  keptBackPercent: number | undefined;
}

/** The sidecar itself, with the shipped policy and its own routes, on counters in memory and a clock that is set. */
export async function startSimulatedSidecar({
  clock,
  keptBackPercent,
}: SimulatedSidecarOptions): Promise<SimulatedSidecar> {
  const folder = await mkdtemp(join(tmpdir(), 'openclaw-rating-day-'));
  const closers = new Closers();
  closers.add('folder', () => rm(folder, { recursive: true, force: true }));
  const log = pino({ level: 'silent' });
  const environment = readEnvironment({
    CONFIG_DIR: await configured(folder, keptBackPercent),
    DATA_DIR: join(folder, 'data'),
    POLICY_BUNDLE: join(packageRoot, 'policies/dist/bundle.tar.gz'),
    // A busy machine must not change what comes out.
    POLICY_TIMEOUT_MS: '60000',
  });
  const config = new LiveConfig({ folder: environment.CONFIG_DIR, clock, log });
  const { store } = createScratchStore({ clock });
  const { app } = await createSidecar({ environment, config, store, clock, log, closers, adminToken: undefined });
  const post: SimulatedSidecar['post'] = async (path, body) => {
    const headers = { 'Content-Type': 'application/json' };
    const response = await app.request(path, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: response.status, headers: response.headers, body: await response.json() };
  };
  return { post, close: () => closers.closeAll() };
}

async function configured(folder: string, keptBackPercent: number | undefined): Promise<string> {
  const config = join(folder, 'config');
  await cp(join(packageRoot, 'config'), config, { recursive: true });
  const shipped = parse(await readFile(join(config, 'providers.yaml'), 'utf8'));
  const accounts = Object.entries(ACCOUNTS).map(([provider, { tier }]) => [
    `${provider}-main`,
    { provider, tier, kept_back_percent: keptBackPercent },
  ]);
  const providers = {
    ...shipped,
    accounts: keptBackPercent === undefined ? {} : Object.fromEntries(accounts),
    models: Object.fromEntries(Object.entries(FALLBACK).map(([model, other]) => [model, { fallback: [other] }])),
  };
  await writeFile(join(config, 'providers.yaml'), stringify(providers));
  // The tenant's own bucket is no matter of this day.
  const defaults = {
    capacity: 1_000_000_000,
    refill: 'daily',
    price_per_token: '0.0001',
    billing_cycle: { period: 'month' },
  };
  await writeFile(join(config, 'tenants.yaml'), stringify({ defaults }));
  return config;
}
