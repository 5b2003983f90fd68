import type { AgentContext, BeforeAgentRunEvent, GateResult } from 'openclaw/plugin-sdk/plugin-entry';
import { charsOf, type Estimate, type Estimator } from './estimate.ts';
import { whoOf } from './identity.ts';
import type { Entry } from './outbox.ts';
import type { Run, Runs } from './runs.ts';
import type { Settings } from './settings.ts';
import { NoDecision, type Question, type Sidecar, type Verdict } from './sidecar.ts';
import { CHANGED_MODEL, notesOf, refusal, UNREACHABLE } from './wording.ts';

export interface GateDeps {
  settings: Settings;
  sidecar: Sidecar;
  runs: Runs;
  estimator: Estimator;
  /** Where it is kept what the sidecar is still to be told. */
  tell(entry: Entry): void;
  /** A decision was had, or was not. */
  heard(outcome: Verdict | NoDecision): void;
  warn(line: string): void;
  /** A monotonic clock, in milliseconds. */
  elapsed(): number;
}

/** Asks the sidecar before each run, in the order in which OpenClaw tells of one. */
export class Gate {
  readonly #deps: GateDeps;

  constructor(deps: GateDeps) {
    this.#deps = deps;
  }

  /**
   * The text for a user who is refused, else undefined. First without being charged, since the whole prompt is not known
   * yet; who would be refused is asked for in earnest, so that the refusal is on record.
   */
  async reply(prompt: string, ctx: AgentContext): Promise<string | undefined> {
    const run = this.#deps.runs.of(ctx);
    const preview = await this.#preview(run, prompt, ctx);
    if (preview instanceof NoDecision) return this.#deps.settings.onFailure === 'deny' ? UNREACHABLE : undefined;
    if (preview.allow) return undefined;
    const question = this.#question(run, ctx, this.#estimateOf(prompt, ctx));
    const result = await this.#ask(run, question);
    if (result instanceof NoDecision) {
      this.#giveBack(question, result);
      return this.#deps.settings.onFailure === 'deny' ? UNREACHABLE : undefined;
    }
    if (!result.allow) return refusal(result);
    run.taken = { question, result };
    return undefined;
  }

  /** The model that the sidecar wants in the place of the one that is asked for. */
  async model(
    prompt: string,
    ctx: AgentContext,
  ): Promise<{ providerOverride: string; modelOverride: string } | undefined> {
    const run = this.#deps.runs.of(ctx);
    run.attempts = 0;
    const decided = run.taken?.result ?? (await this.#preview(run, prompt, ctx));
    if (decided instanceof NoDecision || decided.forceModel === undefined) return undefined;
    const [provider = '', ...rest] = decided.forceModel.split('/');
    if (rest.length === 0 || decided.forceModel === modelOf(ctx)) return undefined;
    return { providerOverride: provider, modelOverride: rest.join('/') };
  }

  /** Whether the attempt may begin. */
  async attempt(event: BeforeAgentRunEvent, ctx: AgentContext): Promise<GateResult> {
    const { estimator, runs } = this.#deps;
    const run = runs.of(ctx);
    const chars = charsOf(event.prompt) + charsOf(event.systemPrompt) + charsOf(event.messages);
    estimator.noteContext(sessionOf(ctx), chars - event.prompt.length);
    run.attempts++;
    const early = run.taken;
    delete run.taken;
    const question =
      early?.question ?? this.#question(run, ctx, estimator.whole(modelOf(ctx), chars, event.prompt.length));
    const result = early?.result ?? (await this.#ask(run, question));
    if (result instanceof NoDecision) return this.#undecided(run, question, chars, result);
    if (!result.allow) return block(result.reason, refusal(result));
    if (this.#ignores(result, run, ctx)) {
      this.#giveBack(question, result);
      this.#deps.warn(
        `run ${run.key} was to use ${result.forceModel}, and OpenClaw goes on with ${modelOf(ctx)}: refused`,
      );
      return block('model_not_taken', CHANGED_MODEL);
    }
    // A plain policy of OPA names no decision, and takes no reports.
    if (result.decisionId !== undefined) this.#open(run, question, chars, result.decisionId);
    run.notes = notesOf(result) || undefined;
    return PASS;
  }

  #undecided(run: Run, question: Question, chars: number, result: NoDecision): GateResult {
    if (this.#deps.settings.onFailure === 'deny') {
      this.#giveBack(question, result);
      return block('no_decision', UNREACHABLE);
    }
    this.#open(run, question, chars, undefined);
    return PASS;
  }

  #open(run: Run, question: Question, chars: number, decisionId: string | undefined): void {
    const { input_tokens: estimatedInput = 0, model } = question;
    run.open = { question, decisionId, chars, model, estimatedInput, streamedBytes: 0, failureKind: undefined };
  }

  /**
   * A model was to be used that will not be. While OpenClaw tries the same model again after a failure, it cannot be
   * changed, and the run goes on as it began; the next one obeys.
   */
  #ignores({ forceModel }: Verdict, run: Run, ctx: AgentContext): boolean {
    return forceModel !== undefined && forceModel !== modelOf(ctx) && run.attempts === 1;
  }

  /** What may have been charged for a run that does not take place. */
  #giveBack(question: Question, result: Verdict | NoDecision): void {
    if (result instanceof NoDecision && !result.maybeTaken) return;
    const decisionId = result instanceof NoDecision ? undefined : result.decisionId;
    const { model, tenant_id } = question;
    const usage = { input: 0, output: 0, cache_read: 0, cache_write: 0 };
    this.#deps.tell({
      ...(decisionId === undefined ? { question } : { decisionId }),
      report: { ...(tenant_id !== undefined && { tenant_id }), outcome: 'cancelled', model, usage },
    });
  }

  async #preview(run: Run, prompt: string, ctx: AgentContext): Promise<Verdict | NoDecision> {
    const model = modelOf(ctx);
    if (run.preview?.model === model) return run.preview.result;
    const question = this.#question(run, ctx, this.#estimateOf(prompt, ctx));
    const result = await this.#ask(run, question, { dryRun: true });
    run.preview = { model, result };
    return result;
  }

  /** All questions of a run together wait no longer than one may. Never throws: what fails is a `NoDecision`. */
  async #ask(run: Run, question: Question, { dryRun = false } = {}): Promise<Verdict | NoDecision> {
    const { elapsed, heard, settings, sidecar } = this.#deps;
    const left = settings.timeoutMs - run.waitedMs;
    if (left <= 0) return new NoDecision('no answer in time', { maybeTaken: false });
    const began = elapsed();
    try {
      const verdict = await sidecar.decide(question, { dryRun, timeoutMs: left });
      // The time is for one question after the other that nobody answers, not for a long run of many attempts.
      run.waitedMs = 0;
      heard(verdict);
      return verdict;
    } catch (error) {
      run.waitedMs += elapsed() - began;
      const failure = error instanceof NoDecision ? error : new NoDecision(String(error), { maybeTaken: true });
      heard(failure);
      return failure;
    }
  }

  #question(run: Run, ctx: AgentContext, estimate: Estimate): Question {
    return {
      ...whoOf(ctx, this.#deps.settings),
      model: modelOf(ctx),
      ...estimate,
      run_id: run.key,
      request_id: `${run.key}:${++run.questions}`,
    };
  }

  #estimateOf(prompt: string, ctx: AgentContext): Estimate {
    return this.#deps.estimator.fromPrompt(modelOf(ctx), sessionOf(ctx), prompt.length);
  }
}

const PASS: GateResult = { outcome: 'pass' };
const block = (reason: string, message: string): GateResult => ({ outcome: 'block', reason, message });

const modelOf = ({ modelId = 'unknown', modelProviderId }: AgentContext) =>
  modelProviderId === undefined ? modelId : `${modelProviderId}/${modelId}`;

const sessionOf = ({ sessionId, sessionKey }: AgentContext) => sessionKey ?? sessionId ?? '';
