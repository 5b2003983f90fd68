import { LRUCache } from 'lru-cache';
import type { z } from 'zod';
import {
  type Decision,
  decisionSchema,
  type LimitOutcome,
  type Outcome,
  type Plan,
  planSchema,
} from '../../schemas/policy-io.ts';
import type { Bundle } from './bundle.ts';
import { Evaluator } from './evaluator.ts';
import type { JobResult } from './protocol.ts';

/** Built-ins whose value is not decided by their arguments: a policy that needs one is evaluated anew each time. */
const IMPURE = new Set([
  'http.send',
  'io.jwt.decode_verify',
  'net.lookup_ip_addr',
  'opa.runtime',
  'rand.intn',
  'time.now_ns',
  'uuid.rfc4122',
]);

/** Evaluations remembered, and the longest input text that is: so memory is bounded by about 10,000 × 8 KiB. */
const MEMO_ENTRIES = 10_000;
const MEMO_INPUT_CHARACTERS = 8_192;

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
}

/** One revision of the policy with the configuration that it runs on. */
export class Policy {
  readonly revision: string;
  /** Packages with the entrypoints `plan` and `decision`, as paths: `openclaw/rate_limit`. */
  readonly metered: ReadonlySet<string>;
  readonly #evaluator: Evaluator;
  readonly #memo: LRUCache<string, Promise<Plan | Decision>> | undefined;

  static async open({ bundle, config, threadFile, timeoutMs }: PolicyOptions): Promise<Policy> {
    const data = JSON.stringify({ ...bundle.data, config });
    const evaluator = await Evaluator.open({
      wasm: bundle.wasm,
      data,
      timeoutMs,
      threadFile,
      memoryPages: MEMORY_PAGES,
    });
    return new Policy(bundle.revision, evaluator);
  }

  private constructor(revision: string, evaluator: Evaluator) {
    this.revision = revision;
    this.#evaluator = evaluator;
    this.metered = meteredPackages(evaluator.entrypoints);
    const pure = !evaluator.builtins.some((name) => IMPURE.has(name));
    this.#memo = pure ? new LRUCache({ max: MEMO_ENTRIES }) : undefined;
  }

  isEntrypoint(path: string): boolean {
    return this.#evaluator.entrypoints.includes(path);
  }

  /** A plain evaluation. `input` is canonical JSON text, undefined where the caller gave none. */
  evaluate(entrypoint: string, input: string | undefined): Promise<JobResult> {
    return this.#evaluator.evaluate(entrypoint, input);
  }

  /** What a request draws on. Throws `PolicyError`. */
  plan(pkg: string, input: string): Promise<Plan> {
    return this.#remembered(`${pkg}/plan`, input, planSchema, true);
  }

  /** What the outcome means. Throws `PolicyError`. */
  async decide(pkg: string, input: string, outcome: Outcome, plan: Plan): Promise<Decision> {
    const seen = plan.raw_counters ? outcome : bands(outcome);
    const withOutcome = `${input.slice(0, -1)}${input === '{}' ? '' : ','}"outcome":${JSON.stringify(seen)}}`;
    const decision = await this.#remembered(`${pkg}/decision`, withOutcome, decisionSchema, !plan.raw_counters);
    const forced = decision.obligations.force_model;
    if (forced !== undefined && forced !== outcome.candidate) {
      throw new PolicyError(
        `${pkg}/decision: force_model is ${JSON.stringify(forced)}, but the chosen candidate is ${JSON.stringify(outcome.candidate)}`,
      );
    }
    return decision;
  }

  close(): Promise<void> {
    return this.#evaluator.close();
  }

  #remembered<Document extends Plan | Decision>(
    entrypoint: string,
    input: string,
    schema: z.ZodType<Document>,
    repeatable: boolean,
  ): Promise<Document> {
    if (!this.#memo || !repeatable || input.length > MEMO_INPUT_CHARACTERS)
      return this.#document(entrypoint, input, schema);
    const key = `${entrypoint} ${input}`;
    const known = this.#memo.get(key);
    if (known) return known as Promise<Document>;
    const fresh = this.#document(entrypoint, input, schema);
    this.#memo.set(key, fresh);
    fresh.catch(() => this.#memo?.delete(key));
    return fresh;
  }

  async #document<Document>(entrypoint: string, input: string, schema: z.ZodType<Document>): Promise<Document> {
    const result = await this.#evaluator.evaluate(entrypoint, input);
    if (!result.ok) throw new PolicyError(`${entrypoint}: ${result.message}`);
    if (result.value === undefined) throw new PolicyError(`${entrypoint} is undefined for this input`);
    const parsed = schema.safeParse(result.value);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw new PolicyError(
        `${entrypoint} has another shape than it should: ${issue?.path.join('.')}: ${issue?.message}`,
      );
    }
    return parsed.data;
  }
}

function meteredPackages(entrypoints: readonly string[]): Set<string> {
  const packages = entrypoints.filter((path) => path.endsWith('/plan')).map((path) => path.slice(0, -'/plan'.length));
  return new Set(packages.filter((pkg) => entrypoints.includes(`${pkg}/decision`)));
}

/** What a policy sees of an outcome: bands, not numbers, so that its answer can be remembered. */
const bands = ({ candidate, closed, granted, limits }: Outcome) => ({
  granted,
  candidate,
  closed: closed.map(({ gate }) => gate),
  limits: limits.map(band),
});

const band = ({ id, granted, over, crossed, on_exceed }: LimitOutcome) => ({ id, granted, over, crossed, on_exceed });
