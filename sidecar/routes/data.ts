import { type Context, Hono } from 'hono';
import type { IdentifiedEnv } from '../identity/authenticate.ts';
import { answerBody } from './answer-body.ts';
import { readJson } from './body.ts';
import { callerAddress } from './caller-address.ts';
import { pathBehind } from './data-path.ts';
import { type EvaluateDeps, evaluate } from './evaluate.ts';
import { isObject } from './is-object.ts';
import { parseJson } from './json.ts';
import { type Options, readOptions } from './options.ts';
import { rateLimitHeaders } from './rate-limit-headers.ts';
import { Refusal } from './refusal.ts';
import { dataReply } from './reply.ts';

export interface DataDeps extends EvaluateDeps {
  maxBodyBytes: number;
  /** Answers of the Data API are compressed from so many bytes on, for who takes gzip. */
  gzipMinLength: number;
  /** Of this program. */
  version: string;
}

export const PREFIX = '/v1/data';

/**
 * OPA's Data API: https://www.openpolicyagent.org/docs/rest-api#data-api
 * A POST to a metered package takes from the counters; a GET, and `?dry_run=true`, say what would come of it.
 */
export function dataRoutes(deps: DataDeps): Hono<IdentifiedEnv> {
  const app = new Hono<IdentifiedEnv>();
  app.post(`${PREFIX}/*`, async (c) => {
    const options = readOptions(c);
    const start = deps.clock.monotonic();
    const input = inputOf(await readJson(c, { maxBytes: deps.maxBodyBytes, status: 400 }));
    return answer(c, deps, { options, input, inputMissing: input === undefined, take: !options.dryRun, start });
  });
  app.get(`${PREFIX}/*`, async (c) => {
    const start = deps.clock.monotonic();
    const text = c.req.queries('input')?.at(-1);
    const input = text === undefined ? undefined : parseJson(text, 'parameter');
    return answer(c, deps, { options: readOptions(c), input, inputMissing: false, take: false, start });
  });
  return app;
}

/** As OPA reads it: without a body, without the key or with null there is no input, and a body is an object. */
export function inputOf(body: unknown): unknown {
  if (body === undefined || body === null) return undefined;
  if (isObject(body)) return Object.hasOwn(body, 'input') ? (body.input ?? undefined) : undefined;
  throw new Refusal(
    400,
    'invalid_parameter',
    'body contains malformed input document: it must be an object, such as {"input": {}}',
  );
}

interface Asked {
  options: Options;
  input: unknown;
  /** Whether to remind the caller that the body has no `input`. */
  inputMissing: boolean;
  take: boolean;
  /** When the request began to be read, on the monotonic clock. */
  start: number;
}

async function answer(c: Context<IdentifiedEnv>, deps: DataDeps, { input, inputMissing, options, start, take }: Asked) {
  const parsed = deps.clock.monotonic();
  const evaluated = await evaluate(deps, {
    path: pathBehind(c, PREFIX),
    input,
    take,
    identity: c.get('identity'),
    idempotencyKey: c.req.header('Idempotency-Key'),
    requestedBy: deps.decisionLog && callerAddress(c),
    address: c.get('address'),
  });
  const end = deps.clock.monotonic();
  const timing = { parse: parsed - start, evaluate: end - parsed, handle: end - start };
  return dataReply(
    c,
    answerBody(evaluated, options, { inputMissing, timing, version: deps.version }),
    deps.gzipMinLength,
    {
      pretty: options.pretty,
      ...(evaluated.answer && { headers: rateLimitHeaders(evaluated.answer) }),
    },
  );
}
