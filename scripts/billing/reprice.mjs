import { toStderr } from '../lib/main.mjs';
import { clientOf, invoicePath, readPages } from './client.mjs';
import { print, printJson, printTable } from './output.mjs';
import { startProgress } from './progress-bar.mjs';

/** @param {import('commander').Command} program */
export function addTo(program) {
  program
    .command('reprice [ids...]')
    .description(
      'prices invoices again after a price was put right: less is a credit note, more is on the next invoice',
    )
    .option('--tenant-id <tenant>', 'all invoices of this tenant, in place of ids')
    .option('--dry-run', 'says what each line was billed and comes to now, and writes nothing')
    .option('--json', 'writes the result as JSON')
    .action(async (ids, options, command) => reprice(ids, options, await clientOf(command)));
}

/**
 * @param {string[]} ids
 * @param {{ tenantId?: string, dryRun?: boolean, json?: boolean }} options
 * @param {import('./client.mjs').Client} client
 */
async function reprice(ids, { dryRun = false, json, tenantId }, client) {
  if ((ids.length === 0) === (tenantId === undefined)) throw new Error('name invoices, or give --tenant-id');
  const named = tenantId === undefined ? ids : await invoicesOf(tenantId, client);
  const progress = startProgress('pricing invoices', named.length);
  const results = [];
  const failed = [];
  for (const id of named) {
    try {
      results.push(await client.post(`${invoicePath(id)}/reprice`, { dry_run: dryRun }));
    } catch (error) {
      failed.push({ id, error: error instanceof Error ? error.message : String(error) });
    }
    progress.step();
  }
  progress.stop();
  if (json) printJson({ data: results, failed });
  else for (const result of results) tell(result);
  for (const { error, id } of failed) toStderr(`${id}: ${error}`);
  if (failed.length) process.exitCode = 1;
}

/**
 * The oldest first. Void ones are left as they are.
 * @param {string} tenantId
 * @param {import('./client.mjs').Client} client
 */
async function invoicesOf(tenantId, client) {
  const { rows } = await readPages(client, '/v1/invoices', { tenant_id: tenantId }, Number.MAX_SAFE_INTEGER);
  return rows
    .filter(({ kind, state }) => kind === 'invoice' && state !== 'void')
    .map(({ number }) => number)
    .reverse();
}

/** @param {any} result */
function tell({ adjustment, credit_note, currency, difference, dry_run, invoice, lines }) {
  const rows = lines.map((/** @type {any} */ line) => [line.description, line.billed, line.now, line.difference]);
  print(`${invoice.number}: ${difference} ${currency}${dry_run ? ', if it were not a dry run' : ''}`);
  printTable(['line', 'billed', 'now', 'difference'], rows);
  if (credit_note) print(`credit note ${credit_note.number}: ${credit_note.total} ${currency}`);
  if (adjustment) print(`on the next invoice: ${adjustment.amount} ${currency}`);
}
