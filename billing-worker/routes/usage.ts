import { Hono } from 'hono';
import { wireError } from '../../schemas/errors.ts';
import { answerTable } from './table-answer.ts';
import { usageCsv } from './usage-csv.ts';
import { parseUsageQuery } from './usage-query.ts';
import { type UsageReportDeps, usageReport } from './usage-report.ts';

/** `GET /v1/usage`: what tenants have used and what it costs, by tenant, team, project, user, model or day. */
export function usageRoutes(deps: UsageReportDeps): Hono {
  const app = new Hono();
  app.get('/v1/usage', async (c) => {
    const query = parseUsageQuery(new URL(c.req.url).searchParams);
    if ('wrong' in query) return c.json(wireError('invalid_parameter', query.wrong), 400);
    const report = await usageReport(query, deps);
    const csv = () => usageCsv(report, query.group_by);
    return answerTable(c, { json: report, csv, filename: `usage-by-${query.group_by}.csv` }, query.format);
  });
  return app;
}
