import { Hono } from 'hono';
import type { Sql } from 'postgres';
import { wireError } from '../../schemas/errors.ts';
import { auditCsv } from '../audit/csv.ts';
import { auditPage } from '../audit/timeline.ts';
import { parseAuditQuery } from './audit-query.ts';
import { answerTable } from './table-answer.ts';

/**
 * `GET /v1/audit`: who did what, and what was refused, the newest first. The next page is `next` in JSON, and the header
 * `Link` (RFC 8288) in JSON and CSV alike.
 */
export function auditRoutes({ sql }: { sql: Sql }): Hono {
  const app = new Hono();
  app.get('/v1/audit', async (c) => {
    const url = new URL(c.req.url);
    const query = parseAuditQuery(url.searchParams);
    if ('wrong' in query) return c.json(wireError('invalid_parameter', query.wrong), 400);
    const page = await auditPage(query, sql);
    if (page.next !== null) c.header('Link', `<${nextPage(url, page.next)}>; rel="next"`);
    return answerTable(c, { json: page, csv: () => auditCsv(page.data), filename: 'audit.csv' }, query.format);
  });
  return app;
}

/** Relative: whoever stands before the worker may be known by another name. */
function nextPage({ pathname, searchParams }: URL, next: string): string {
  const parameters = new URLSearchParams(searchParams);
  parameters.set('after', next);
  return `${pathname}?${parameters}`;
}
