import type { AgentContext } from 'openclaw/plugin-sdk/plugin-entry';
import type { Attempt } from './attempt-usage.ts';
import type { NoDecision, Question, Verdict } from './sidecar.ts';

/** An attempt that was let through, whose end is still to be told. */
export interface OpenAttempt extends Attempt {
  question: Question;
  /** Undefined: it was let through although no decision could be had. */
  decisionId: string | undefined;
  chars: number;
}

/** A run of OpenClaw: one or more models are tried for it, each of them once or more often. */
export interface Run {
  key: string;
  /** How long it has waited for the sidecar, all together. */
  waitedMs: number;
  /** What was asked without being charged, of the model that is asked for. */
  preview?: { model: string; result: Verdict | NoDecision };
  /** A decision that was made for the attempt to come. */
  taken?: { question: Question; result: Verdict };
  questions: number;
  /** Attempts of the model that is tried at the moment. */
  attempts: number;
  open?: OpenAttempt | undefined;
  /** What is to be shown beside the answer. */
  notes?: string | undefined;
}

const MOST = 10_000;

/** The runs that are under way, and those that were last. */
export class Runs {
  readonly #runs = new Map<string, Run>();

  of(ctx: Pick<AgentContext, 'runId' | 'sessionId' | 'sessionKey'>): Run {
    const key = ctx.runId ?? ctx.sessionId ?? ctx.sessionKey ?? 'no run';
    const known = this.#runs.get(key);
    if (known) return known;
    const run: Run = { key, waitedMs: 0, questions: 0, attempts: 0 };
    this.#runs.set(key, run);
    const [oldest] = this.#runs.keys();
    // Its reservation expires at the sidecar, at what was estimated.
    if (this.#runs.size > MOST && oldest !== undefined) this.#runs.delete(oldest);
    return run;
  }

  known(key: string | undefined): Run | undefined {
    return key === undefined ? undefined : this.#runs.get(key);
  }
}
