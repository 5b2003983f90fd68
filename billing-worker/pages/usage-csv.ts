import { Hono } from 'hono';
import { usageCsv } from '../routes/usage-csv.ts';
import { parseUsageQuery } from '../routes/usage-query.ts';
import { type UsageReportDeps, usageReport } from '../routes/usage-report.ts';
import { csvAnswer } from './invoice-answers.ts';
import { notFound } from './respond.tsx';
import type { PageContext, PageEnv } from './session/guard.ts';

/** `usage.csv`: as `/v1/usage` has it, with the same parameters. Of one tenant alone where the page is a tenant's. */
export function usageCsvRoute(
  path: string,
  tenantOf: (c: PageContext) => string | undefined,
  deps: UsageReportDeps,
): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  app.get(path, async (c) => {
    const own = tenantOf(c);
    const parameters = new URLSearchParams(Object.entries(c.req.query()).filter(([, value]) => value !== ''));
    const asked = parameters.get('tenant_id');
    if (own !== undefined && asked !== null && asked !== own) return notFound(c);
    if (own !== undefined) parameters.set('tenant_id', own);
    const query = parseUsageQuery(parameters);
    if ('wrong' in query) return c.text(query.wrong, 400);
    return csvAnswer(c, usageCsv(await usageReport(query, deps), query.group_by), `usage-by-${query.group_by}.csv`);
  });
  return app;
}
