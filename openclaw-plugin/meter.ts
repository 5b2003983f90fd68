import type { LlmOutputEvent, ModelCallEndedEvent } from 'openclaw/plugin-sdk/plugin-entry';
import { reportOf, reportWithoutOutput } from './attempt-usage.ts';
import type { Estimator } from './estimate.ts';
import type { Entry } from './outbox.ts';
import type { OpenAttempt, Run, Runs } from './runs.ts';
import type { UsageReport } from './sidecar.ts';

export interface MeterDeps {
  runs: Runs;
  estimator: Estimator;
  /** Resolves when it was tried. */
  tell(entry: Entry): Promise<void>;
}

/** OpenClaw tells of the output a millisecond after the end of a run. */
const OUTPUT_FOLLOWS_MS = 2_000;

/** Tells the sidecar what each attempt that was let through has used. */
export class Meter {
  readonly #deps: MeterDeps;

  constructor(deps: MeterDeps) {
    this.#deps = deps;
  }

  callEnded({ failureKind, responseStreamBytes = 0, runId }: ModelCallEndedEvent): void {
    const open = this.#deps.runs.known(runId)?.open;
    if (!open) return;
    open.streamedBytes += responseStreamBytes;
    open.failureKind = failureKind;
  }

  async output(event: LlmOutputEvent): Promise<void> {
    const { estimator, runs } = this.#deps;
    const run = runs.known(event.runId);
    const open = run?.open;
    if (!run || !open) return;
    const report = reportOf(open, event);
    if (report.outcome === 'succeeded') {
      const { cache_read, cache_write, input, output } = report.usage;
      estimator.learn(report.model, { chars: open.chars, input: input + cache_read + cache_write, output });
    }
    await this.#close(run, open, report);
  }

  /** For an attempt of whose output nothing is told. */
  ended(runId: string | undefined, error: string | undefined): void {
    const run = this.#deps.runs.known(runId);
    const open = run?.open;
    if (!open) return;
    const timer = setTimeout(() => {
      if (run.open === open) void this.#close(run, open, reportWithoutOutput(open, error));
    }, OUTPUT_FOLLOWS_MS);
    timer.unref();
  }

  #close(run: Run, open: OpenAttempt, report: UsageReport): Promise<void> {
    const { decisionId, question } = open;
    const { tenant_id } = question;
    run.open = undefined;
    return this.#deps.tell({
      ...(decisionId === undefined ? { question } : { decisionId }),
      report: { ...(tenant_id !== undefined && { tenant_id }), ...report },
    });
  }
}
