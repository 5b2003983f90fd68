import type { PluginLogger } from 'openclaw/plugin-sdk/plugin-entry';
import { whoOf } from './identity.ts';
import type { Outbox } from './outbox.ts';
import type { Settings } from './settings.ts';
import { NoDecision, type Sidecar, type Verdict } from './sidecar.ts';

export interface PresenceDeps {
  settings: Settings;
  sidecar: Sidecar;
  /** Why OpenClaw leaves the gate out; undefined where it does not. */
  ungated: string | undefined;
  outbox: () => Outbox;
  /** Of this process. */
  id: string;
  version: string;
  log: PluginLogger;
}

const EVERY_MS = 60_000;

/** Says what works and what does not: at the start, when it changes, and to the sidecar all the time. */
export class Presence {
  readonly #deps: PresenceDeps;
  #isDown = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: PresenceDeps) {
    this.#deps = deps;
  }

  /** Once, when the gateway has started. */
  async start(): Promise<void> {
    const { outbox, ungated } = this.#deps;
    outbox().adopt();
    await this.#selfTest();
    if (ungated === undefined) await outbox().flush();
    this.#timer = setInterval(() => void this.#again(), EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Loud once when decisions fail, and once when they are had again. */
  heard(outcome: Verdict | NoDecision): void {
    const isDown = outcome instanceof NoDecision;
    if (isDown === this.#isDown) return;
    this.#isDown = isDown;
    const { log, outbox, settings } = this.#deps;
    if (!isDown) {
      log.info('decisions are made again');
      void outbox().flush();
      return;
    }
    const meanwhile = settings.onFailure === 'deny' ? 'every run is refused' : 'every run is let through';
    log.error(`NO DECISION: ${outcome.message}; ${meanwhile} until there is one (on_failure: ${settings.onFailure})`);
  }

  async #selfTest(): Promise<void> {
    const { log, outbox, settings, sidecar, ungated } = this.#deps;
    const question = {
      ...whoOf({ agentId: 'main' }, settings),
      model: 'self-test',
      request_id: 'self-test',
      estimated_tokens: 1,
    };
    const { timeoutMs } = settings;
    const [decision, usage, shown] = await Promise.all([
      sidecar.decide(question, { dryRun: true, timeoutMs }).catch((error: Error) => error),
      sidecar.usageProblem(timeoutMs),
      this.#present(),
    ]);
    const said = [
      decision instanceof Error ? `NO DECISIONS: ${decision.message}` : `decisions of ${settings.endpoint.href}`,
      usage === undefined
        ? `usage goes to ${settings.usageEndpoint.href}`
        : `USAGE IS NOT TAKEN at ${settings.usageEndpoint.href}: ${usage}`,
      ...(shown ? [] : ['the sidecar does not show that it is obeyed here']),
      `on failure ${settings.onFailure}`,
      `${outbox().size} reports wait`,
    ].join('; ');
    if (ungated !== undefined) log.error(`NOT GATED: ${ungated}; ${said}`);
    else if (decision instanceof Error || usage !== undefined) log.error(`gates every run; ${said}`);
    else log.info(`gates every run; ${said}`);
  }

  async #again(): Promise<void> {
    this.#deps.outbox().adopt();
    await this.#present();
  }

  /** Whether the sidecar takes it. A plain OPA has no such route. */
  async #present(): Promise<boolean> {
    const { id, settings, sidecar, ungated, version } = this.#deps;
    const state = { id, name: 'rating-engine', version, gated: ungated === undefined, on_failure: settings.onFailure };
    const why = ungated === undefined ? {} : { why: ungated };
    const status = await sidecar.present({ ...state, ...why }, settings.timeoutMs).catch(() => undefined);
    return status !== undefined && status < 300;
  }
}
