import type { z } from 'zod';
import {
  type Decision,
  decisionSchema,
  type LimitOutcome,
  type Outcome,
  type Plan,
  planSchema,
} from '../../schemas/policy-io.ts';
import { IMPURE } from './builtins/catalogue.ts';
import type { Bundle } from './bundle.ts';
import { Evaluator } from './evaluator.ts';
import { KnownDecisions } from './known-decisions.ts';
import { type Bands, likelyOutcome, withOutcome } from './likely-outcome.ts';
import { Memo, type MemoCounts } from './memo.ts';
import type { JobResult } from './protocol.ts';
import { checkRequirements, type Requirements } from './requirements.ts';
import { noneSlow, type SlowCounts } from './slow-counts.ts';

/** Memory of one policy instance: 1,024 pages of 64 KiB are 64 MiB. */
const MEMORY_PAGES = 1_024;

/** The policy gave nothing, something of another shape, or failed. The request is denied with `policy_error`. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError';
}

export interface PolicyOptions {
  bundle: Bundle;
  /** What the files of `CONFIG_DIR` say; policies see it as `data.config`. */
  config: object;
  timeoutMs: number;
  threadFile: URL;
  /** What the bundle must have and may need beyond what every bundle must and may. */
  requirements?: Requirements;
  /** Where hits and misses of what is remembered are counted. */
  memoCounts?: MemoCounts;
  /** Where evaluations that take long are counted. */
  slowCounts?: SlowCounts;
}

/** One revision of the policy with the configuration that it runs on. */
export class Policy {
  readonly revision: string;
  /** Packages with the entrypoints `plan` and `decision`, as paths: `openclaw/rate_limit`. */
  readonly metered: ReadonlySet<string>;
  readonly #evaluator: Evaluator;
  readonly #memo: Memo | undefined;
  readonly #ofPlan = new KnownDecisions();

  /** Throws `BundleError` for what the bundle lacks, another error if its policy cannot be loaded. */
  static async open({
    bundle,
    config,
    memoCounts = { hits: 0, misses: 0 },
    requirements = { entrypoints: [], impureBuiltins: [] },
    slowCounts = noneSlow(),
    threadFile,
    timeoutMs,
  }: PolicyOptions): Promise<Policy> {
    const data = JSON.stringify({ ...bundle.data, config });
    const evaluator = await Evaluator.open({
      wasm: bundle.wasm,
      data,
      timeoutMs,
      threadFile,
      memoryPages: MEMORY_PAGES,
      slowCounts,
    });
    try {
      checkRequirements(evaluator.contents, bundle.promised, requirements);
    } catch (error) {
      await evaluator.close();
      throw error;
    }
    return new Policy(bundle.revision, evaluator, memoCounts);
  }

  private constructor(revision: string, evaluator: Evaluator, memoCounts: MemoCounts) {
    this.revision = revision;
    this.#evaluator = evaluator;
    this.metered = meteredPackages(evaluator.contents.entrypoints);
    const pure = !evaluator.contents.builtins.some((name) => IMPURE.has(name));
    this.#memo = pure ? new Memo(memoCounts) : undefined;
  }

  /** How many evaluations are remembered; undefined where none ever is, because the policy is not pure. */
  get remembered(): number | undefined {
    return this.#memo?.size;
  }

  /** Whether it holds a thread: always, but for one that another has replaced and nobody has asked for a while. */
  get awake(): boolean {
    return this.#evaluator.awake;
  }

  /** The documents that can be asked for, as paths: `authz/plain/allow`. */
  get entrypoints(): readonly string[] {
    return this.#evaluator.contents.entrypoints;
  }

  isEntrypoint(path: string): boolean {
    return this.#evaluator.contents.entrypoints.includes(path);
  }

  /** A plain evaluation. `input` is canonical JSON text, undefined where the caller gave none. */
  evaluate(entrypoint: string, input: string | undefined): Promise<JobResult> {
    return this.#evaluator.evaluate(entrypoint, input);
  }

  /** What a request draws on: at once where it is remembered. Throws, or rejects with, `PolicyError`. */
  plan(pkg: string, input: string): Plan | Promise<Plan> {
    if (!this.#memo) return this.#document(`${pkg}/plan`, input, planSchema);
    return this.#memo.get(`${pkg}/plan`, input, () => this.#planned(pkg, input));
  }

  /** Of a policy whose answers are remembered: the decision on what the plan is likely to come to is evaluated with it. */
  async #planned(pkg: string, input: string): Promise<Plan> {
    const entrypoint = `${pkg}/plan`;
    const result = await this.#evaluator.evaluate(entrypoint, input, `${pkg}/decision`);
    const plan = parsed(entrypoint, result, planSchema);
    const likely = result.ok ? result.decision : undefined;
    if (likely && likely.outcome === JSON.stringify(likelyOutcome(plan))) {
      const decision = decisionSchema.safeParse(likely.value);
      if (decision.success && decision.data.obligations.force_model === undefined)
        this.#ofPlan.add(plan, USUAL, decision.data);
    }
    return plan;
  }

  /** What the outcome means: at once where it is remembered. Throws, or rejects with, `PolicyError`. */
  decide(pkg: string, input: string, outcome: Outcome, plan: Plan): Decision | Promise<Decision> {
    if (plan.raw_counters || !this.#memo) return this.#decided(pkg, input, outcome, plan);
    const band = bandOf(outcome);
    const decision = this.#ofPlan.get(plan, band);
    if (decision) {
      this.#memo.hit();
      return decision;
    }
    return this.#decided(pkg, input, outcome, plan).then((fresh) => this.#ofPlan.add(plan, band, fresh));
  }

  async #decided(pkg: string, input: string, outcome: Outcome, plan: Plan): Promise<Decision> {
    const seen = plan.raw_counters ? outcome : bands(outcome);
    const text = withOutcome(input, JSON.stringify(seen));
    const decision = await this.#remembered(`${pkg}/decision`, text, decisionSchema, !plan.raw_counters);
    const forced = decision.obligations.force_model;
    if (forced !== undefined && forced !== outcome.candidate) {
      throw new PolicyError(
        `${pkg}/decision: force_model is ${JSON.stringify(forced)}, but the chosen candidate is ${JSON.stringify(outcome.candidate)}`,
      );
    }
    return decision;
  }

  /** The same policy in a thread that no decision waits for. The caller closes it. */
  spare(): Promise<Evaluator> {
    return this.#evaluator.another();
  }

  /** Another policy is in force from now on. Answers on their way go on with this one, however long they take. */
  retire(): void {
    this.#evaluator.retire();
  }

  close(): Promise<void> {
    return this.#evaluator.close();
  }

  #remembered<Document extends Plan | Decision>(
    entrypoint: string,
    input: string,
    schema: z.ZodType<Document>,
    repeatable: boolean,
  ): Document | Promise<Document> {
    const evaluate = () => this.#document(entrypoint, input, schema);
    return this.#memo && repeatable ? this.#memo.get(entrypoint, input, evaluate) : evaluate();
  }

  async #document<Document>(entrypoint: string, input: string, schema: z.ZodType<Document>): Promise<Document> {
    return parsed(entrypoint, await this.#evaluator.evaluate(entrypoint, input), schema);
  }
}

/** Throws `PolicyError`. */
function parsed<Document>(entrypoint: string, result: JobResult, schema: z.ZodType<Document>): Document {
  if (!result.ok) throw new PolicyError(`${entrypoint}: ${result.message}`);
  if (result.value === undefined) throw new PolicyError(`${entrypoint} is undefined for this input`);
  const { data, error } = schema.safeParse(result.value);
  if (data !== undefined) return data;
  const [issue] = error?.issues ?? [];
  throw new PolicyError(`${entrypoint} has another shape than it should: ${issue?.path.join('.')}: ${issue?.message}`);
}

function meteredPackages(entrypoints: readonly string[]): Set<string> {
  const packages = entrypoints.filter((path) => path.endsWith('/plan')).map((path) => path.slice(0, -'/plan'.length));
  return new Set(packages.filter((pkg) => entrypoints.includes(`${pkg}/decision`)));
}

/**
 * The same for the same bands only, within one plan: whatever else a policy sees of them is the plan's. Much shorter than what it
 * sees, which is looked up by all of its text.
 */
function bandOf(outcome: Outcome): string {
  return isUsual(outcome) ? USUAL : describe(outcome);
}

const USUAL = 'usual';

/** Room everywhere, and nothing crossed, where there is nothing to choose from: as most are. */
const isUsual = ({ candidate, closed, granted, limits }: Outcome): boolean =>
  granted &&
  candidate === null &&
  closed.length === 0 &&
  limits.every(({ crossed, granted: has, over }) => has && !over && crossed.length === 0);

function describe({ candidate, closed, granted, limits }: Outcome): string {
  let band = granted ? JSON.stringify(candidate) : '-';
  for (const { crossed, granted: has, over } of limits) band += `|${has ? 1 : 0}${over ? 1 : 0}${crossed.join(',')}`;
  return closed.length ? band + JSON.stringify(closed.map(({ candidate: model, gate }) => [model, gate])) : band;
}

const bands = ({ candidate, closed, granted, limits }: Outcome): Bands => ({
  granted,
  candidate,
  closed: closed.map(({ candidate: model, gate }) => ({ candidate: model, gate })),
  limits: limits.map(band),
});

const band = ({ id, granted, over, crossed, on_exceed }: LimitOutcome) => ({ id, granted, over, crossed, on_exceed });
