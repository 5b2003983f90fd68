import { type Context, Hono } from 'hono';
import type { Answer } from '../decision/answer.ts';
import type { Decider } from '../decision/decide.ts';
import { type DecisionRequest, MissingTenant, readRequest } from '../decision/request.ts';
import type { DecisionMetrics } from '../metrics.ts';
import { canonical, InputError } from '../policy/canonical.ts';
import type { Policy } from '../policy/policy.ts';
import { limitBody, parseJson, Refusal, readJson } from './body.ts';
import { resolve, type Target, walk } from './data-path.ts';
import { rateLimitHeaders } from './rate-limit-headers.ts';

export interface DataDeps {
  policy: () => Policy;
  decider: Decider;
  metrics: DecisionMetrics;
  maxBodyBytes: number;
}

const PREFIX = '/v1/data/';

const NO_INPUT = { code: 'api_usage_warning', message: "'input' key missing from the request" };

/**
 * OPA's Data API: https://www.openpolicyagent.org/docs/rest-api#data-api
 * A POST to a metered package takes from the counters; a GET says what would come of it.
 */
export function dataRoutes(deps: DataDeps): Hono {
  const app = new Hono();
  app.post(`${PREFIX}*`, limitBody(deps.maxBodyBytes, 400), async (c) => {
    const body = await readJson(c);
    return answer(c, deps, { given: isObject(body) ? body.input : undefined, warn: !hasInput(body), take: true });
  });
  app.get(`${PREFIX}*`, async (c) => {
    const text = c.req.queries('input')?.at(-1);
    const given = text === undefined ? undefined : parseJson(text, 'parameter');
    return answer(c, deps, { given, warn: false, take: false });
  });
  app.all(`${PREFIX}*`, (c) => c.body(null, 405));
  return app;
}

interface Question {
  given: unknown;
  /** Whether to remind the caller that the body has no `input`. */
  warn: boolean;
  take: boolean;
}

async function answer(c: Context, deps: DataDeps, question: Question): Promise<Response> {
  const target = resolve(segments(c), deps.policy());
  const warning = question.warn ? { warning: NO_INPUT } : {};
  try {
    if (target.kind === 'metered') return await metered(c, deps, target, question);
    if (target.kind === 'undefined') return c.json(warning);
    const result = await plain(deps.policy(), target, question.given);
    return c.json({ ...(result !== undefined && { result }), ...warning });
  } catch (error) {
    if (error instanceof MissingTenant) {
      throw new Refusal(400, 'invalid_parameter', error.message, [{ code: 'unknown_tenant', message: error.message }]);
    }
    if (error instanceof InputError) throw new Refusal(400, 'invalid_parameter', error.message);
    throw error;
  }
}

async function plain(policy: Policy, target: Extract<Target, { kind: 'plain' }>, given: unknown): Promise<unknown> {
  const result = await policy.evaluate(target.entrypoint, given === undefined ? undefined : canonical(given));
  if (!result.ok) {
    const errors = [{ code: 'eval_error', message: result.message }];
    throw new Refusal(500, 'internal_error', 'error(s) occurred while evaluating query', errors);
  }
  return walk(result.value, target.rest);
}

async function metered(
  c: Context,
  { decider, metrics }: DataDeps,
  target: Extract<Target, { kind: 'metered' }>,
  { given, take }: Question,
): Promise<Response> {
  const request = readRequest(target.pkg, given ?? {}, c.req.header('Idempotency-Key'));
  const answer = take
    ? await metrics.observe(target.pkg, () => decider.decide(request))
    : await decider.preview(request);
  if (answer === 'conflict') throw conflict(request);
  const result = walk(document(answer, target), target.rest);
  return c.json(
    {
      ...(result !== undefined && { result }),
      decision_id: answer.decisionId,
      ...(answer.replayed && { replayed: true }),
      ...(answer.degraded && { degraded: true }),
    },
    200,
    rateLimitHeaders(answer),
  );
}

function document({ decision, plan }: Answer, target: Extract<Target, { kind: 'metered' }>): unknown {
  if (target.document === 'allow') return decision.allow;
  return target.document === 'decision' ? decision : { plan, decision, allow: decision.allow };
}

const conflict = ({ requestId }: DecisionRequest) =>
  new Refusal(
    409,
    'resource_conflict',
    `request_id ${JSON.stringify(requestId)} was granted for another input; a new request needs a new request_id`,
  );

/** The path behind the prefix, each segment decoded by itself, so that an encoded slash stays part of its segment. */
function segments(c: Context): string[] {
  const { pathname } = new URL(c.req.url);
  try {
    return pathname
      .slice(PREFIX.length)
      .split('/')
      .map((segment) => decodeURIComponent(segment));
  } catch {
    throw new Refusal(400, 'invalid_parameter', 'the path is not valid percent-encoding');
  }
}

const isObject = (body: unknown): body is Record<string, unknown> =>
  typeof body === 'object' && body !== null && !Array.isArray(body);

const hasInput = (body: unknown) => isObject(body) && Object.hasOwn(body, 'input');
