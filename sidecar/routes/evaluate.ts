import type { Clock } from '../../runtime/clock.ts';
import type { Granted } from '../admin/granted.ts';
import type { Answer } from '../decision/answer.ts';
import type { Conflict, Decider } from '../decision/decide.ts';
import { type DecisionRequest, MissingTenant, readRequest } from '../decision/request.ts';
import type { DecisionLog, Logged } from '../decision-log/decision-log.ts';
import type { Identities } from '../identity/identities.ts';
import type { Identity } from '../identity/identity.ts';
import type { DecisionMetrics } from '../metrics.ts';
import { noticesOf } from '../notices/notice.ts';
import type { Notices } from '../notices/notices.ts';
import { canonical, InputError } from '../policy/canonical.ts';
import type { Policy } from '../policy/policy.ts';
import type { Shadow } from '../shadow/shadow.ts';
import { type DataPath, resolve, type Target, walk } from './data-path.ts';
import { isObject } from './is-object.ts';
import { packageDocument } from './package-document.ts';
import { Refusal } from './refusal.ts';

export interface EvaluateDeps {
  policy: () => Policy;
  decider: Decider;
  metrics: DecisionMetrics;
  /** Undefined: decisions are not logged, and a plain evaluation has no id. */
  decisionLog: DecisionLog | undefined;
  /** Undefined: no second policy is compared with the one in force. */
  shadow: Shadow | undefined;
  /** Undefined: no admin is told of anything. */
  notices: Notices | undefined;
  clock: Clock;
  identities: Identities;
  /** What users have on top of their budgets. */
  granted: Pick<Granted, 'tokens'>;
}

/** One document asked for with one input. */
export interface Question {
  path: DataPath;
  /** Undefined where the caller gave none. */
  input: unknown;
  /** Who asks. */
  identity: Identity;
  /** Whether a metered package takes from the counters. */
  take: boolean;
  idempotencyKey?: string | undefined;
  requestedBy?: string | undefined;
  /** Where the request comes from. */
  address?: string | undefined;
}

export interface Evaluated {
  /** Undefined where the document is. */
  result: unknown;
  /** Of a metered decision, and of any other where decisions are logged. */
  decisionId: string | undefined;
  policyRevision: string;
  /** Of a metered decision. */
  answer: Answer | undefined;
  /** Whether the policy has a rule there, be it undefined for this input. */
  known: boolean;
}

/** What every route of the Data API does. Throws a `Refusal` for input that cannot be used and a policy that fails. */
export async function evaluate(deps: EvaluateDeps, asked: Question): Promise<Evaluated> {
  const policy = deps.policy();
  const target = resolve(asked.path, policy);
  const input = knownInput(deps, target, asked);
  const logged = deps.decisionLog?.begin({
    policy,
    path: asked.path.join('/'),
    requestedBy: asked.requestedBy,
  });
  try {
    if (target.kind !== 'metered') return await plain({ deps, policy, target, asked, input, logged });
    const request = requestOf(target.pkg, { asked, input }, deps);
    const start = deps.clock.monotonic();
    const answer = await (asked.take ? deps.decider.decide(request, policy) : deps.decider.preview(request, policy));
    if (asked.take) deps.metrics.note(target.pkg, start, answer, request.subject.tenant_id);
    return metered({ deps, target, asked, logged }, request, answer);
  } catch (error) {
    if (error instanceof MissingTenant) {
      throw new Refusal(400, 'invalid_parameter', error.message, [{ code: 'unknown_tenant', message: error.message }]);
    }
    if (error instanceof InputError) throw new Refusal(400, 'invalid_parameter', error.message);
    throw error;
  }
}

/**
 * The input with what is known of its caller. Of what the service asks of a package that is not metered, its input as it is: it
 * may be of any shape. Throws a `Refusal` for who claims to be somebody else.
 */
function knownInput({ identities }: EvaluateDeps, target: Target, { identity, input }: Question): unknown {
  const isService = identity.type === 'service';
  if (isService && target.kind !== 'metered') return input;
  if (!isObject(input ?? {})) return input;
  const bound = identities.bind((input ?? {}) as Record<string, unknown>, identity);
  return isService || target.kind === 'metered' ? bound : { ...bound, identity: { type: identity.type } };
}

/** A question whose target is known; `input` is that of the caller with what is known of them. */
interface Known<Kind> {
  deps: EvaluateDeps;
  policy: Policy;
  target: Kind;
  asked: Question;
  input: unknown;
  logged: Logged | undefined;
}

const requestOf = (pkg: string, { asked, input }: Pick<Known<Target>, 'asked' | 'input'>, { granted }: EvaluateDeps) =>
  readRequest(pkg, input ?? {}, asked.idempotencyKey, {
    identity: asked.identity,
    grantedTokens: grantedTo(granted, input),
    asked: asked.input ?? {},
    address: asked.address,
  });

type Metered = Extract<Target, { kind: 'metered' }>;

function metered(
  {
    asked: { take },
    deps: { notices, shadow },
    logged,
    target,
  }: Pick<Known<Metered>, 'asked' | 'deps' | 'logged' | 'target'>,
  request: DecisionRequest,
  answer: Answer | Conflict,
): Evaluated {
  if (answer === 'conflict') throw conflict(request);
  const result = walk(documentOf(answer, target), target.rest);
  logged?.metered(request, answer, { result, dryRun: !take });
  if (take) {
    shadow?.compare(request, answer);
    if (answer.decision.obligations.notify) notices?.send(noticesOf(request, answer));
  }
  const { decisionId, policyRevision } = answer;
  return { result, decisionId, policyRevision, answer, known: true };
}

function documentOf({ decision, plan }: Answer, target: Metered): unknown {
  if (target.document === 'allow') return decision.allow;
  return target.document === 'decision' ? decision : { plan, decision, allow: decision.allow };
}

const conflict = ({ requestId }: DecisionRequest) =>
  new Refusal(
    409,
    'resource_conflict',
    `request_id ${JSON.stringify(requestId)} was granted for another input; a new request needs a new request_id`,
  );

async function plain({
  asked: { identity, path },
  deps: { decider, granted, identities },
  input,
  logged,
  policy,
  target,
}: Known<Exclude<Target, { kind: 'metered' }>>): Promise<Evaluated> {
  const text = input === undefined ? undefined : canonical(input);
  try {
    const preview = async (pkg: string) => {
      const request = requestTo(pkg, { input, identity }, { granted, identities });
      return request && decider.preview(request, policy);
    };
    const result = await documentAt(target, path, { policy, text, preview });
    const decisionId = logged?.plain(text, result);
    const known = target.kind !== 'undefined';
    return { result, decisionId, policyRevision: policy.revision, answer: undefined, known };
  } catch (error) {
    if (error instanceof Refusal) logged?.failed(text, error.body);
    throw error;
  }
}

interface Given {
  policy: Policy;
  /** The input as canonical JSON text. */
  text: string | undefined;
  /** What a metered package would answer now; undefined where nobody can be answered. */
  preview(pkg: string): Promise<Answer | undefined>;
}

function documentAt(
  target: Exclude<Target, { kind: 'metered' }>,
  path: DataPath,
  { policy, preview, text }: Given,
): Promise<unknown> {
  const one = (entrypoint: string) => documentOfEntrypoint(policy, entrypoint, text);
  switch (target.kind) {
    case 'plain':
      return one(target.entrypoint).then((document) => walk(document, target.rest));
    case 'above':
      return packageDocument(path, target.below, {
        policy,
        evaluate: one,
        preview,
      });
    default:
      return Promise.resolve(undefined);
  }
}

async function documentOfEntrypoint(policy: Policy, entrypoint: string, input: string | undefined): Promise<unknown> {
  const result = await policy.evaluate(entrypoint, input);
  if (result.ok) return result.value;
  const errors = [{ code: 'eval_error', message: result.message }];
  throw new Refusal(500, 'internal_error', 'error(s) occurred while evaluating query', errors);
}

function grantedTo(granted: Pick<Granted, 'tokens'>, input: unknown): number {
  const { tenant_id, user_id } = (input ?? {}) as Record<string, unknown>;
  return typeof tenant_id === 'string' && typeof user_id === 'string' ? granted.tokens(tenant_id, user_id) : 0;
}

/** Who asks for a whole tree need not name a tenant: then the metered packages in it are undefined. */
function requestTo(
  pkg: string,
  { identity, input }: Pick<Question, 'identity' | 'input'>,
  { granted, identities }: Pick<EvaluateDeps, 'granted' | 'identities'>,
): DecisionRequest | undefined {
  try {
    const known = isObject(input ?? {}) ? identities.bind((input ?? {}) as Record<string, unknown>, identity) : input;
    return readRequest(pkg, known, undefined, { identity, grantedTokens: grantedTo(granted, known) });
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}
