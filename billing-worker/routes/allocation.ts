import { Hono } from 'hono';
import type { Sql } from 'postgres';
import { wireError } from '../../schemas/errors.ts';
import { allocationCsv } from '../allocation/csv.ts';
import { allocationReport } from '../allocation/report.ts';
import { parseAllocationQuery } from './allocation-query.ts';
import { answerTable } from './table-answer.ts';

/** `GET /v1/allocation`: a provider's invoice of a month, divided among the teams by what they have used of it. */
export function allocationRoutes({ sql }: { sql: Sql }): Hono {
  const app = new Hono();
  app.get('/v1/allocation', async (c) => {
    const query = parseAllocationQuery(new URL(c.req.url).searchParams);
    if ('wrong' in query) return c.json(wireError('invalid_parameter', query.wrong), 400);
    const report = await allocationReport(query, sql);
    if ('impossible' in report) return c.json(wireError('invalid_operation', report.impossible), 422);
    const filename = `allocation-${query.month}-by-${query.by}.csv`;
    return answerTable(c, { json: report, csv: () => allocationCsv(report), filename }, query.format);
  });
  return app;
}
