import { Hono } from 'hono';
import { wireError } from '../../schemas/errors.ts';
import { parseUsageQuery } from './usage-query.ts';
import { type UsageReportDeps, usageReport } from './usage-report.ts';

/** `GET /v1/usage`: what tenants have used and what it costs, by tenant, user, model or day. */
export function usageRoutes(deps: UsageReportDeps): Hono {
  const app = new Hono();
  app.get('/v1/usage', async (c) => {
    const query = parseUsageQuery(new URL(c.req.url).searchParams);
    if ('wrong' in query) return c.json(wireError('invalid_parameter', query.wrong), 400);
    return c.json(await usageReport(query, deps));
  });
  return app;
}
