import { stringify } from 'csv-stringify/sync';
import type { AllocationReport } from './report.ts';

const UNATTRIBUTED = 'unattributed';

/**
 * RFC 4180: lines end in CRLF, and what needs quotes has them. Names come from requests: one that a spreadsheet would take
 * for a formula gets an apostrophe before it, since quotes do not stop it.
 */
export function allocationCsv({ data }: AllocationReport): string {
  return stringify(
    data.map(({ team_id, tenant_id, ...row }) => ({ tenant: tenant_id ?? '', team: team_id ?? UNATTRIBUTED, ...row })),
    {
      header: true,
      columns: ['tenant', 'team', 'used', 'share', 'amount_usd'],
      record_delimiter: 'windows',
      escape_formulas: true,
    },
  );
}
