import { stringify } from 'csv-stringify/sync';
import type { AuditRow } from './timeline.ts';

const COLUMNS = [
  'at',
  'action',
  'actor',
  'tenant_id',
  'user_id',
  'credential_id',
  'source_ip',
  'target',
  'reason',
  'count',
  'id',
] as const satisfies (keyof AuditRow)[];

/**
 * RFC 4180, as the allocation's: lines end in CRLF, and a cell that a spreadsheet would take for a formula begins with an
 * apostrophe. `details` is a JSON object of what only rows of one kind have.
 */
export function auditCsv(rows: readonly AuditRow[]): string {
  return stringify(
    rows.map(({ api_keys, grant, limits, ...row }) => ({
      ...row,
      details: JSON.stringify({ limits, api_keys, grant }),
    })),
    { header: true, columns: [...COLUMNS, 'details'], record_delimiter: 'windows', escape_formulas: true },
  );
}
