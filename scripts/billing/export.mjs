import { writeResult } from '../lib/billing-api.mjs';
import { clientOf } from './client.mjs';

/** @param {import('commander').Command} program */
export function addTo(program) {
  program
    .command('export')
    .description('writes every line of the invoices and credit notes that were finalised in a month, a row each')
    .requiredOption('--month <month>', 'such as 2026-10')
    .option('--tenant-id <tenant>', 'of this tenant alone (default: of all)')
    .option('--format <format>', 'csv or json', 'csv')
    .option('-o, --output <file>', 'where to write it (default: standard output)')
    .action(async ({ format, month, output, tenantId }, command) => {
      const client = await clientOf(command);
      const text = await client.text('/v1/invoices/export', { month, tenant_id: tenantId, format });
      await writeResult(text.endsWith('\n') ? text : `${text}\n`, { output, script: 'billing' });
    });
}
