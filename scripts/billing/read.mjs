import { writeResult } from '../lib/billing-api.mjs';
import { toStderr } from '../lib/main.mjs';
import { clientOf, invoicePath, readPages } from './client.mjs';
import { print, printJson, printTable } from './output.mjs';

/** @param {import('commander').Command} program */
export function addTo(program) {
  program
    .command('preview')
    .description("says what a tenant's running cycle, or another one, comes to so far; writes nothing")
    .requiredOption('--tenant-id <tenant>', 'whose cycle')
    .option(
      '--cycle <instant>',
      'the beginning of the cycle, such as 2026-10-01T00:00:00Z (default: the one that runs)',
    )
    .option('--json', 'writes it as JSON')
    .action(async (options, command) => preview(options, await clientOf(command)));
  program
    .command('invoices')
    .description('lists invoices and credit notes, the newest first')
    .option('--tenant-id <tenant>', 'those of this tenant alone')
    .option('--state <state>', 'finalised, paid or void')
    .option('--limit <rows>', 'at most so many', '100')
    .option('--json', 'writes them as JSON')
    .action(async (options, command) => list(options, await clientOf(command)));
  program
    .command('invoice <id>')
    .description('shows an invoice, by its id or its number, such as INV-000012')
    .option('--lines', 'its lines, as a table (this is the default)')
    .option('--events <line>', 'the events that a line was made of')
    .option('--json', 'byte for byte as it was finalised; with --events as JSON')
    .option('--csv', 'a row for each line')
    .option('--html', 'a page to print')
    .option('-o, --output <file>', 'where to write it (default: standard output)')
    .action(async (id, options, command) => show(id, options, await clientOf(command)));
}

/** @typedef {import('./client.mjs').Client} Client */

/**
 * @param {{ tenantId: string, cycle?: string, json?: boolean }} options
 * @param {Client} client
 */
async function preview({ cycle, json, tenantId }, client) {
  const found =
    cycle === undefined
      ? await client.get('/v1/invoices/upcoming', { tenant_id: tenantId })
      : await client.get(`/v1/cycles/${encodeURIComponent(`${tenantId}@${instant(cycle)}`)}/preview`);
  if (json) return printJson(found);
  print(`${found.tenant_id}, ${found.cycle.start} to ${found.cycle.end}, ${found.events} events`);
  printLines(found);
  for (const { events, model, tokens } of found.held)
    print(`held, as ${model} has no price: ${events} events, ${tokens} tokens`);
}

/** @param {string} text as the worker names a cycle */
function instant(text) {
  const time = Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text);
  if (Number.isNaN(time)) throw new Error(`--cycle: ${text} is no instant such as 2026-10-01T00:00:00Z`);
  return new Date(time).toISOString();
}

/**
 * @param {{ tenantId?: string, state?: string, limit: string, json?: boolean }} options
 * @param {Client} client
 */
async function list({ json, limit, state, tenantId }, client) {
  if (!/^[1-9]\d{0,6}$/.test(limit)) throw new Error('--limit must be a whole number, such as 100');
  const { more, rows } = await readPages(client, '/v1/invoices', { tenant_id: tenantId, state }, Number(limit));
  if (json) printJson({ data: rows });
  else {
    printTable(
      ['number', 'kind', 'tenant', 'from', 'to', 'total', 'state', 'since'],
      rows.map((row) => [
        row.number,
        row.kind,
        row.tenant_id,
        row.cycle.start,
        row.cycle.end,
        `${row.total} ${row.currency}`,
        row.state,
        row.state_since,
      ]),
    );
  }
  if (more) toStderr(`there is more than these ${limit}: raise --limit`);
}

/**
 * @param {string} id
 * @param {{ events?: string, json?: boolean, csv?: boolean, html?: boolean, output?: string }} options
 * @param {Client} client
 */
async function show(id, { csv, events, html, json, output }, client) {
  if (events !== undefined) return showEvents(id, events, json, client);
  if (csv || html || json || output !== undefined) {
    const format = csv ? 'csv' : html ? 'html' : 'json';
    return writeResult(await client.text(invoicePath(id), { format }), { output, script: 'billing' });
  }
  const invoice = JSON.parse(await client.text(invoicePath(id), { format: 'json' }));
  const { credits, cycle, finalised_at, kind, number, reason, tenant_id } = invoice;
  print(`${number} (${kind}) for ${tenant_id}, ${cycle.start} to ${cycle.end}, finalised ${finalised_at}`);
  if (credits) print(`credits ${credits}: ${reason}`);
  printLines(invoice);
}

/** @param {{ lines: any[], total: string, currency: string }} invoice */
function printLines({ currency, lines, total }) {
  printTable(
    ['line', 'description', 'quantity', 'unit price', 'per', 'exact amount', 'amount'],
    [
      ...lines.map(({ amount, description, exact_amount, line, per, quantity, unit_price }) => [
        line,
        description,
        quantity,
        unit_price,
        per,
        exact_amount,
        amount,
      ]),
      ['', 'total', '', '', '', '', `${total} ${currency}`],
    ],
  );
}

/**
 * @param {string} id
 * @param {string} line
 * @param {boolean | undefined} json
 * @param {Client} client
 */
async function showEvents(id, line, json, client) {
  const path = `${invoicePath(id)}/lines/${encodeURIComponent(line)}/events`;
  const { rows } = await readPages(client, path, {}, Number.MAX_SAFE_INTEGER);
  if (json) return printJson({ data: rows });
  printTable(
    ['decided at', 'decision', 'type', 'user', 'model', 'tokens', 'input', 'output'],
    rows.map((row) => [
      row.decided_at,
      row.decision_id,
      row.type,
      row.user_id,
      row.candidate ?? row.model,
      row.tokens,
      row.input_tokens,
      row.output_tokens,
    ]),
  );
}
