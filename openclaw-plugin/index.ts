import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { definePluginEntry, type PluginApi, type PluginLogger } from 'openclaw/plugin-sdk/plugin-entry';
import { deliver } from './delivery.ts';
import { Estimator } from './estimate.ts';
import { Gate } from './gate.ts';
import { registerGate } from './hooks.ts';
import { Meter } from './meter.ts';
import { Outbox } from './outbox.ts';
import { Presence } from './presence.ts';
import { refuseMessages, refuseRuns } from './refuse-all.ts';
import { Runs } from './runs.ts';
import { type BadSettings, readSettings, type Settings } from './settings.ts';
import { Sidecar } from './sidecar.ts';

const ID = 'rating-engine';
const VERSION = '0.1.0';
const NO_ACCESS =
  `plugins.entries.${ID}.hooks.allowConversationAccess is not true, so OpenClaw leaves the gate out ` +
  'and runs go on unasked and unbilled; set it to true';

export default definePluginEntry({
  id: ID,
  name: 'Rating engine',
  description: 'Asks a policy decision sidecar before each agent run, and reports what the run used',
  register(api) {
    const settings = readSettings(api.pluginConfig, process.env);
    if ('problem' in settings) registerMisconfigured(api, settings);
    else registerConfigured(api, settings);
  },
});

/** OpenClaw would leave out a plugin that throws here, and go on without it. */
function registerMisconfigured(api: PluginApi, { onFailure, problem }: BadSettings): void {
  const log = logOf(api);
  const meanwhile = onFailure === 'deny' ? 'every run is refused' : 'every run is let through';
  api.on('gateway_start', async () => log.error(`NO DECISIONS: ${problem}; ${meanwhile} (on_failure: ${onFailure})`));
  if (onFailure === 'allow') return;
  refuseMessages(api);
  if (hasConversationAccess(api.config)) refuseRuns(api);
}

function registerConfigured(api: PluginApi, settings: Settings): void {
  const log = logOf(api);
  const sidecar = new Sidecar(settings);
  const ungated = hasConversationAccess(api.config) ? undefined : NO_ACCESS;
  // Not before it is needed: OpenClaw also registers a plugin to look at it.
  let outbox: Outbox | undefined;
  const theOutbox = () => (outbox ??= openOutbox(api, sidecar, log));
  const presence = new Presence({
    settings,
    sidecar,
    ungated,
    outbox: theOutbox,
    id: processId(),
    version: VERSION,
    log,
  });
  const { estimator, runs } = ofProcess();
  const tell = (entry: Parameters<Outbox['add']>[0]) => theOutbox().add(entry);
  const gate = new Gate({
    settings,
    sidecar,
    runs,
    estimator,
    tell: (entry) => void tell(entry).catch((error) => log.error(`a report was lost: ${error}`)),
    heard: (outcome) => presence.heard(outcome),
    warn: (line) => log.warn(line),
    elapsed: () => performance.now(),
  });
  if (ungated === undefined)
    registerGate(api, { gate, meter: new Meter({ runs, estimator, tell }), runs, log, settings });
  else if (settings.onFailure === 'deny') refuseMessages(api);
  api.on('gateway_start', () => {
    const shared = ofProcess();
    shared.presence?.stop();
    shared.presence = presence;
    return presence.start();
  });
  api.on('gateway_stop', async () => presence.stop());
}

/** As OpenClaw itself looks at it: a plugin that is not its own needs a true there. */
function hasConversationAccess(config: unknown): boolean {
  const entry = (config as { plugins?: { entries?: Record<string, { hooks?: Record<string, unknown> }> } } | undefined)
    ?.plugins?.entries?.[ID];
  return entry?.hooks?.allowConversationAccess === true;
}

interface OfProcess {
  id: string;
  runs: Runs;
  estimator: Estimator;
  presence?: Presence;
  outboxes: Map<string, Outbox>;
}

/**
 * OpenClaw registers a plugin more than once in one process, also anew when its settings change, and the hooks of one run
 * may be those of several registrations. So they share what they know.
 */
function ofProcess(): OfProcess {
  const shared = globalThis as { [key: symbol]: OfProcess | undefined };
  const key = Symbol.for(`${ID}.process`);
  shared[key] ??= { id: randomUUID(), runs: new Runs(), estimator: new Estimator(), outboxes: new Map() };
  return shared[key];
}

const processId = () => ofProcess().id;

function openOutbox(api: PluginApi, sidecar: Sidecar, log: PluginLogger): Outbox {
  const folder = join(api.runtime.state.resolveStateDir(), ID);
  const { id, outboxes } = ofProcess();
  const warn = (line: string) => log.warn(line);
  const send = (entry: Parameters<Outbox['add']>[0]) => deliver(sidecar, entry, warn);
  const known = outboxes.get(folder);
  known?.sendBy(send);
  const outbox = known ?? new Outbox({ folder, pid: process.pid, unique: id.slice(0, 8), isAlive, send, warn });
  outboxes.set(folder, outbox);
  return outbox;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const logOf = ({ logger }: PluginApi): PluginLogger => ({
  info: (line) => logger.info(`${ID}: ${line}`),
  warn: (line) => logger.warn(`${ID}: ${line}`),
  error: (line) => logger.error(`${ID}: ${line}`),
});
