import { stringify } from 'csv-stringify/sync';
import type { GroupBy } from './usage-query.ts';
import { type UsageReport, usageColumns } from './usage-report.ts';

/** What a correction takes back is negative, and no formula. */
const NUMBER = /^-?\d+(\.\d+)?$/;

/** RFC 4180, as the audit's: a cell that a spreadsheet would take for a formula begins with an apostrophe, but not a number. */
export const usageCsv = ({ data }: UsageReport, group_by: GroupBy): string =>
  stringify(data, {
    header: true,
    columns: usageColumns(group_by),
    record_delimiter: 'windows',
    escape_formulas: true,
    cast: {
      number: (value) => ({ value: String(value), escape_formulas: false }),
      string: (value) => ({ value, escape_formulas: !NUMBER.test(value) }),
    },
  });
