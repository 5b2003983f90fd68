import { type Context, Hono } from 'hono';
import type { IdentifiedEnv } from '../identity/authenticate.ts';
import { readJson } from './body.ts';
import { callerAddress } from './caller-address.ts';
import type { DataDeps } from './data.ts';
import { type DataPath, pathBehind, refOf } from './data-path.ts';
import { evaluate } from './evaluate.ts';
import { readOptions } from './options.ts';
import { rateLimitHeaders } from './rate-limit-headers.ts';
import { Refusal } from './refusal.ts';
import { dataReply } from './reply.ts';

const PREFIX = '/v0/data';

/** What a `POST /` asks for, as in OPA: `data.system.main`. */
const DEFAULT_DECISION = ['system', 'main'];

/**
 * OPA's Data API of old, which webhooks still speak: the body is the input and the answer is the document, bare.
 * On a metered package it takes. https://www.openpolicyagent.org/docs/rest-api#get-a-document-webhook
 */
export function dataV0Routes(deps: DataDeps): Hono<IdentifiedEnv> {
  const app = new Hono<IdentifiedEnv>();
  app.post('/', (c) => answer(c, deps, DEFAULT_DECISION));
  app.post(`${PREFIX}/*`, (c) => answer(c, deps, pathBehind(c, PREFIX)));
  return app;
}

async function answer(c: Context<IdentifiedEnv>, deps: DataDeps, path: DataPath): Promise<Response> {
  const { dryRun, pretty } = readOptions(c);
  const evaluated = await evaluate(deps, {
    path,
    input: await readInput(c, deps.maxBodyBytes),
    take: !dryRun,
    identity: c.get('identity'),
    idempotencyKey: c.req.header('Idempotency-Key'),
    requestedBy: deps.decisionLog && callerAddress(c),
    address: c.get('address'),
  });
  if (evaluated.result === undefined) {
    const what = evaluated.known ? 'document undefined' : 'document missing';
    throw new Refusal(404, 'undefined_document', `${what}: ${refOf(path)}`);
  }
  const headers = evaluated.answer && rateLimitHeaders(evaluated.answer);
  return dataReply(c, evaluated.result, deps.gzipMinLength, { pretty, ...(headers && { headers }) });
}

/** Here no body is the input null. */
async function readInput(c: Context, maxBytes: number): Promise<unknown> {
  try {
    return (await readJson(c, { maxBytes, status: 400 })) ?? null;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Refusal(400, 'invalid_parameter', `unexpected parse error for input: ${error.body.message}`);
  }
}
