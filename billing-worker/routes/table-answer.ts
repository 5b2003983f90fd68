import type { Context } from 'hono';
import { accepts } from 'hono/accepts';

const JSON_TYPE = 'application/json';
const CSV_TYPE = 'text/csv';

export interface Table {
  json: object;
  csv: () => string;
  /** What a browser saves the CSV as. */
  filename: string;
}

/** Answers with a table in `format`, else in what the header `Accept` asks for, else in JSON. */
export function answerTable(c: Context, { csv, filename, json }: Table, format?: 'csv' | 'json' | undefined): Response {
  const accepted = accepts(c, { header: 'Accept', supports: [JSON_TYPE, CSV_TYPE], default: JSON_TYPE });
  c.header('Vary', 'Accept');
  if ((format ?? (accepted === CSV_TYPE ? 'csv' : 'json')) === 'json') return c.json(json);
  return c.body(csv(), 200, {
    'Content-Type': `${CSV_TYPE}; charset=utf-8; header=present`,
    'Content-Disposition': `attachment; filename="${filename}"`,
  });
}
