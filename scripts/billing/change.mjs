import { clientOf, invoicePath } from './client.mjs';
import { print, printJson } from './output.mjs';

/** @param {import('commander').Command} program */
export function addTo(program) {
  program
    .command('credit <id>')
    .description('gives back a part of an invoice, or all that is left of it, by a credit note')
    .option('--amount <amount>', 'such as 12.50 (default: all that is left)')
    .requiredOption('--reason <text>', 'why; it is on the credit note')
    .option('--dry-run', 'says what is left of the invoice, and writes nothing')
    .option('--json', 'writes the credit note as JSON')
    .action(async (id, options, command) => credit(id, options, await clientOf(command)));
  program
    .command('paid <id>')
    .description('marks an invoice as paid')
    .option('--reference <text>', 'where the payment is found')
    .option('--dry-run', 'says in which state it is, and writes nothing')
    .option('--json', 'writes the state as JSON')
    .action(async (id, options, command) => change('paid', id, options, await clientOf(command)));
  program
    .command('void <id>')
    .description('marks an invoice as void: nothing is owed for it, and its usage is not billed again')
    .requiredOption('--reason <text>', 'why, for the audit')
    .option('--dry-run', 'says in which state it is, and writes nothing')
    .option('--json', 'writes the state as JSON')
    .action(async (id, options, command) => change('void', id, options, await clientOf(command)));
}

/** @typedef {import('./client.mjs').Client} Client */

/**
 * @param {string} id
 * @param {{ amount?: string, reason: string, dryRun?: boolean, json?: boolean }} options
 * @param {Client} client
 */
async function credit(id, { amount, dryRun, json, reason }, client) {
  if (amount !== undefined && !/^\d+(\.\d+)?$/.test(amount))
    throw new Error('--amount must be a decimal such as 12.50');
  if (dryRun) return tellDryRun(id, amount === undefined ? 'all that is left of it' : `${amount} of it`, json, client);
  const note = await client.post(`${invoicePath(id)}/credit_notes`, { amount, reason });
  if (json) return printJson(note);
  print(`${note.number}: ${note.total} ${note.currency}`);
}

/**
 * @param {string} id
 * @param {string} what
 * @param {boolean | undefined} json
 * @param {Client} client
 */
async function tellDryRun(id, what, json, client) {
  const invoice = JSON.parse(await client.text(invoicePath(id), { format: 'json' }));
  const { currency, number, total } = invoice;
  if (json) return printJson({ dry_run: true, id: invoice.id, number, currency, total });
  print(`${number}, ${total} ${currency}: ${what} would be given back, unless notes for more are there already`);
}

/**
 * @param {'paid' | 'void'} state
 * @param {string} id
 * @param {{ reason?: string, reference?: string, dryRun?: boolean, json?: boolean }} options
 * @param {Client} client
 */
async function change(state, id, { dryRun, json, reason, reference }, client) {
  if (dryRun) {
    const { id: found, number } = JSON.parse(await client.text(invoicePath(id), { format: 'json' }));
    return json ? printJson({ dry_run: true, id: found, number, state }) : print(`${number} would become ${state}`);
  }
  const changed = await client.post(`${invoicePath(id)}/${state}`, { reason, reference });
  if (json) printJson(changed);
  else print(`${id} is ${changed.state}`);
}
