import { Hono } from 'hono';
import type { Sql } from 'postgres';
import type { Clock } from '../../runtime/clock.ts';
import { wireError } from '../../schemas/errors.ts';
import { readRows } from '../usage-log/read-rows.ts';
import { storeRequests } from '../usage-log/store.ts';
import { unsettledCalls } from '../usage-log/unsettled.ts';
import { readBody } from './read-body.ts';
import { OLDEST_S, parseUnsettledQuery } from './usage-log-query.ts';

/** The embedded PostgreSQL blocks its thread 60 ms for 1,000 rows. */
const MOST_ROWS = 5_000;

export interface UsageLogDeps {
  sql: Sql;
  clock: Clock;
}

/**
 * `POST /v1/usage-log`: requests that a gateway has logged, as NDJSON of `GatewayRequest`, each kept once however often it
 * comes. `GET /v1/usage-log/unsettled`: calls in it that were charged by an estimate and never reported.
 */
export function usageLogRoutes({ clock, sql }: UsageLogDeps): Hono {
  const app = new Hono();
  app.post('/v1/usage-log', async (c) => {
    const body = await readBody(c.req.raw);
    if ('wrong' in body) return c.json(wireError('invalid_parameter', body.wrong), body.status);
    const { requests, unreadable } = readRows(body.text);
    const received = requests.length + unreadable.length;
    if (received > MOST_ROWS) {
      return c.json(wireError('invalid_parameter', `the body must have ${MOST_ROWS} lines at most`), 413);
    }
    const added = await storeRequests(requests, sql);
    return c.json({ received, new: added, known: requests.length - added, unreadable });
  });
  app.get('/v1/usage-log/unsettled', async (c) => {
    const query = parseUnsettledQuery(new URL(c.req.url).searchParams);
    if ('wrong' in query) return c.json(wireError('invalid_parameter', query.wrong), 400);
    const { after, limit, older_than_s } = query;
    const now = clock.now();
    const period = { from: now - OLDEST_S * 1_000, to: now - older_than_s * 1_000 };
    return c.json(await unsettledCalls({ ...period, after, limit }, sql));
  });
  return app;
}
