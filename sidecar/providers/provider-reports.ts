import type { Config } from '../../runtime/config/files.ts';
import type { Log } from '../../runtime/log.ts';
import { accountOf } from '../../schemas/config/providers.ts';
import type { UsageReport } from '../../schemas/usage-report.ts';
import type { CounterStore } from '../counters/contract.ts';
import type { ModelHealth } from '../counters/provider-health.ts';
import type { CallOutcome } from './call-outcome.ts';
import type { HealthView } from './health-view.ts';
import type { LimitCorrections } from './limit-corrections.ts';
import { modelId } from './model-id.ts';
import type { Served } from './provider-limits.ts';
import { providerRules } from './provider-rules.ts';

export interface ProviderReportsDeps {
  store: Pick<CounterStore, 'providerOutcome'>;
  view: HealthView;
  corrections: LimitCorrections;
  config: () => Config;
  /** From 0 to 1: where in the jitter a back-off is. */
  random: () => number;
  log: Log;
}

/** What was decided: see `SettleResult`. */
type Decided = { at: number; model?: string | undefined };

/** Tells the store what came of calls to providers: rate limits, failures and successes after them. */
export class ProviderReports {
  readonly #deps: ProviderReportsDeps;

  constructor(deps: ProviderReportsDeps) {
    this.#deps = deps;
  }

  /** After it the next decision knows. Throws `CountersUnavailable`; told again it counts once. */
  async note(report: UsageReport, decided: Decided, outcome: CallOutcome): Promise<void> {
    const served = this.#servedOf(report, decided);
    if (!served) return;
    const { model, name } = served;
    await this.#deps.corrections.note(served, outcome.numbers);
    if (outcome.result === undefined) return;
    const before = this.#deps.view.of(name, model);
    if (outcome.result === 'succeeded' && !before) return;
    const health = await this.#tell(name, model, decided.at, outcome);
    this.#deps.view.learn(name, model, health);
    this.#log(name, model, before, health);
  }

  #tell(
    account: string,
    model: string,
    decidedAt: number,
    { result, retryAfterMs }: CallOutcome,
  ): Promise<ModelHealth> {
    const { config, random, store } = this.#deps;
    return store.providerOutcome(
      { account, model, result: result ?? 'succeeded', decidedAt, retryAfterMs, jitter: Math.floor(random() * 1_001) },
      providerRules(config().providers),
    );
  }

  /** The model that the report names, where an account serves it: the caller may have gone on to another one by itself. */
  #servedOf(report: UsageReport, decided: Decided): Served | undefined {
    const { models, providers } = this.#deps.config();
    for (const asked of [report.model, decided.model]) {
      const found = asked === undefined ? undefined : accountOf(asked, providers);
      if (asked !== undefined && found) return { ...found, model: modelId(asked, models) };
    }
    return undefined;
  }

  #log(account: string, model: string, before: ModelHealth | undefined, now: ModelHealth): void {
    const { log } = this.#deps;
    const about = { account, model };
    if ((now.limited_until ?? 0) > (before?.limited_until ?? 0)) {
      const until = new Date(now.limited_until ?? 0).toISOString();
      log.warn(
        { ...about, until, nth: now.limited, by: now.limited_by },
        'the provider limits this model: it cools down',
      );
    }
    if ((now.opens ?? 0) > (before?.opens ?? 0)) {
      const until = new Date(now.open_until ?? 0).toISOString();
      log.warn({ ...about, until, nth: now.opens }, 'this model fails again and again: its circuit is open');
    }
    if (before?.opens !== undefined && now.opens === undefined)
      log.info(about, 'this model works again: its circuit is closed');
    if (before?.limited !== undefined && now.limited === undefined)
      log.info(about, 'this model works again after its cooldown');
  }
}
