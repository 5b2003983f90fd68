import { type Context, Hono } from 'hono';
import { wireError } from '../../schemas/errors.ts';
import type { IdentifiedEnv } from '../identity/authenticate.ts';
import { answerBody, type Timing } from './answer-body.ts';
import { readJson } from './body.ts';
import { callerAddress } from './caller-address.ts';
import type { DataDeps } from './data.ts';
import { pathBehind } from './data-path.ts';
import { evaluate } from './evaluate.ts';
import { isObject } from './is-object.ts';
import { type Options, readOptions } from './options.ts';
import { Refusal } from './refusal.ts';
import { dataReply } from './reply.ts';

const PREFIX = '/v1/batch/data';

/** One request may not keep the counters busy for longer than about the time that this many decisions take. */
const MAX_INPUTS = 1_000;

/**
 * `POST /v1/batch/data/{path}`: one document for many inputs, `{"inputs": {id: input}}` → `{"responses": {id: …}}`. Each
 * is a request of its own, and on a metered package each takes; together they need few round trips. The status is 207
 * where some fail, 400 where all are refused, and 500 where all fail.
 */
export function batchRoutes(deps: DataDeps): Hono<IdentifiedEnv> {
  const app = new Hono<IdentifiedEnv>();
  app.post(`${PREFIX}/*`, async (c) => {
    const options = readOptions(c);
    const start = deps.clock.monotonic();
    const inputs = inputsOf(await readJson(c, { maxBytes: deps.maxBodyBytes, status: 400 }));
    const parse = deps.clock.monotonic() - start;
    const path = pathBehind(c, PREFIX);
    const identity = c.get('identity');
    const requestedBy = deps.decisionLog && callerAddress(c);
    const address = c.get('address');
    const answers = await Promise.all(
      inputs.map(([, input]) =>
        one(deps, options, { path, input, identity, take: !options.dryRun, requestedBy, address }, parse),
      ),
    );
    return send(c, deps, options, inputs, answers);
  });
  return app;
}

function inputsOf(body: unknown): [string, unknown][] {
  const inputs = isObject(body) && Object.hasOwn(body, 'inputs') ? body.inputs : undefined;
  if (!isObject(inputs)) {
    throw new Refusal(400, 'invalid_parameter', 'the body must be {"inputs": {"<id>": <input>, …}}');
  }
  const entries = Object.entries(inputs);
  if (entries.length > MAX_INPUTS) {
    throw new Refusal(400, 'invalid_parameter', `a batch has ${MAX_INPUTS} inputs at most, not ${entries.length}`);
  }
  return entries;
}

interface One {
  status: number;
  body: object;
}

async function one(
  deps: DataDeps,
  options: Options,
  question: Parameters<typeof evaluate>[1],
  parse: number,
): Promise<One> {
  const start = deps.clock.monotonic();
  try {
    const evaluated = await evaluate(deps, question);
    const took = deps.clock.monotonic() - start;
    const timing: Timing = { parse, evaluate: took, handle: parse + took };
    return {
      status: 200,
      body: answerBody(evaluated, options, { inputMissing: false, timing, version: deps.version }),
    };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { status: error.status, body: error.body };
  }
}

/** An answer of its own for each input. OPA's clients know of two codes only: what went wrong is in `code`. */
function send(c: Context, deps: DataDeps, options: Options, inputs: [string, unknown][], answers: One[]) {
  const status = statusOf(answers.map((answer) => answer.status));
  const responses = Object.fromEntries(
    answers.map((answer, index) => [
      inputs[index]?.[0] ?? '',
      status === 207 ? { http_status_code: answer.status === 200 ? '200' : '500', ...answer.body } : answer.body,
    ]),
  );
  const refused = status === 400 && wireError('invalid_parameter', 'every input of the batch was refused');
  return dataReply(c, { ...refused, responses }, deps.gzipMinLength, { pretty: options.pretty, status });
}

function statusOf(statuses: number[]): 200 | 207 | 400 | 500 {
  if (statuses.every((status) => status === 200)) return 200;
  if (statuses.some((status) => status === 200)) return 207;
  return statuses.some((status) => status === 500) ? 500 : 400;
}
