import { Hono } from 'hono';
import { accepts } from 'hono/accepts';
import type { Sql } from 'postgres';
import { wireError } from '../../schemas/errors.ts';
import { allocationCsv } from '../allocation/csv.ts';
import { allocationReport } from '../allocation/report.ts';
import { parseAllocationQuery } from './allocation-query.ts';

const JSON_TYPE = 'application/json';
const CSV_TYPE = 'text/csv';

/** `GET /v1/allocation`: a provider's invoice of a month, divided among the teams by what they have used of it. */
export function allocationRoutes({ sql }: { sql: Sql }): Hono {
  const app = new Hono();
  app.get('/v1/allocation', async (c) => {
    const query = parseAllocationQuery(new URL(c.req.url).searchParams);
    if ('wrong' in query) return c.json(wireError('invalid_parameter', query.wrong), 400);
    const report = await allocationReport(query, sql);
    if ('impossible' in report) return c.json(wireError('invalid_operation', report.impossible), 422);
    const accepted = accepts(c, { header: 'Accept', supports: [JSON_TYPE, CSV_TYPE], default: JSON_TYPE });
    c.header('Vary', 'Accept');
    if ((query.format ?? (accepted === CSV_TYPE ? 'csv' : 'json')) === 'json') return c.json(report);
    return c.body(allocationCsv(report), 200, {
      'Content-Type': `${CSV_TYPE}; charset=utf-8; header=present`,
      'Content-Disposition': `attachment; filename="allocation-${query.month}-by-${query.by}.csv"`,
    });
  });
  return app;
}
