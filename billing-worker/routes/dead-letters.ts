import { Hono } from 'hono';
import { z } from 'zod';
import { wireError } from '../../schemas/errors.ts';
import { listDeadLetters } from '../dead-letters/list.ts';
import { type ReplayDeps, replayDeadLetters } from '../dead-letters/replay.ts';
import { parseDeadLettersQuery, parseReplayBody } from './dead-letters-query.ts';
import { jsonBody } from './json-body.ts';

export type DeadLettersDeps = ReplayDeps;

/**
 * `GET /v1/dead-letters`: stream entries that could not become a row. `POST /v1/dead-letters/replay`: reads them once more, so
 * that what can be read today is in the ledger, once.
 */
export function deadLetterRoutes(deps: DeadLettersDeps): Hono {
  const app = new Hono();
  app.get('/v1/dead-letters', async (c) => {
    const query = parseDeadLettersQuery(new URL(c.req.url).searchParams);
    if ('wrong' in query) return c.json(wireError('invalid_parameter', query.wrong), 400);
    return c.json(await listDeadLetters(query, deps.sql));
  });
  app.post('/v1/dead-letters/replay', async (c) => {
    const sent = await jsonBody(c, z.unknown());
    const body = 'wrong' in sent ? sent : parseReplayBody(sent.value);
    if ('wrong' in body) return c.json(wireError('invalid_parameter', body.wrong), 400);
    const { after, dry_run: dryRun, ids } = body;
    return c.json(await replayDeadLetters({ ids, after, dryRun }, deps));
  });
  return app;
}
