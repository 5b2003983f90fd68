import { toStderr } from '../lib/main.mjs';
import { clientOf } from './client.mjs';
import { byCurrency, sum } from './money.mjs';
import { print, printJson, printTable } from './output.mjs';
import { startProgress } from './progress-bar.mjs';

/** So many cycles are closed at once: each is computed by the worker, from a connection of its own. */
const AT_ONCE = 4;

/** @param {import('commander').Command} program */
export function addTo(program) {
  program
    .command('close')
    .description('makes the invoice of each cycle that is over; the same again makes none')
    .option('--tenant-id <tenant>', 'the cycles of this tenant alone (default: of all)')
    .option('--through <date>', 'cycles that end by the end of this date, or by this instant (default: now)', through)
    .option('--dry-run', 'says what each would come to, and writes nothing')
    .option('--json', 'writes the result as JSON')
    .action(async (options, command) => close(options, await clientOf(command)));
}

/**
 * The end of a date of UTC is the first instant of the next.
 * @param {string} text
 */
function through(text) {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return text;
  const date = new Date(`${text}T00:00:00Z`);
  if (Number.isNaN(date.getTime()) || !date.toISOString().startsWith(text)) throw new Error(`${text} is no date`);
  return new Date(date.getTime() + 86_400_000).toISOString();
}

/**
 * @typedef {object} Outcome
 * @property {string} id of the cycle
 * @property {string} tenant_id
 * @property {{ start: string, end: string }} cycle
 * @property {{ id: string, number: string, currency: string, total: string } | null} invoice
 * @property {boolean} already it had its invoice before
 * @property {{ model: string, events: number, tokens: string }[]} held
 * @property {string} [error]
 */

/**
 * @param {{ tenantId?: string, through?: string, dryRun?: boolean, json?: boolean }} options
 * @param {import('./client.mjs').Client} client
 */
async function close({ dryRun = false, json, tenantId, through: until }, client) {
  const { data: due } = await client.get('/v1/cycles', { tenant_id: tenantId, through: until });
  const outcomes = await closeAll(due, dryRun, client);
  const summary = summaryOf(outcomes);
  if (json) printJson({ dry_run: dryRun, ...summary, cycles: outcomes });
  else tell(outcomes, summary, dryRun);
  if (summary.failed > 0) process.exitCode = 1;
}

/**
 * Several tenants at once, and the cycles of each one after the other: what is late of one is on the next.
 * @param {Outcome[]} due
 * @param {boolean} dryRun
 * @param {import('./client.mjs').Client} client
 * @returns {Promise<Outcome[]>} in the order of `due`
 */
async function closeAll(due, dryRun, client) {
  const { default: Queue } = await import('p-queue');
  const queue = new Queue({ concurrency: AT_ONCE });
  const progress = startProgress(dryRun ? 'computing cycles' : 'closing cycles', due.length);
  /** @type {Map<string, Outcome>} */
  const outcomes = new Map();
  for (const cycles of byTenant(due).values()) {
    queue.add(async () => {
      for (const cycle of cycles) {
        outcomes.set(cycle.id, await closeOne(cycle, dryRun, client));
        progress.step();
      }
    });
  }
  await queue.onIdle();
  progress.stop();
  return due.map(({ id }) => /** @type {Outcome} */ (outcomes.get(id)));
}

/**
 * @param {Outcome} due
 * @param {boolean} dryRun
 * @param {import('./client.mjs').Client} client
 * @returns {Promise<Outcome>}
 */
async function closeOne(due, dryRun, client) {
  const path = `/v1/cycles/${encodeURIComponent(due.id)}`;
  try {
    if (!dryRun) return await client.post(`${path}/close`);
    const { currency, held, lines, total } = await client.get(`${path}/preview`);
    const invoice = lines.length ? { id: '', number: '', currency, total } : null;
    return { ...due, invoice, already: false, held };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ...due, invoice: null, already: false, held: [], error: message };
  }
}

/** @param {Outcome[]} outcomes */
function summaryOf(outcomes) {
  const made = outcomes.filter(({ already, invoice }) => invoice && !already);
  return {
    closed: outcomes.filter(({ error }) => error === undefined).length,
    failed: outcomes.filter(({ error }) => error !== undefined).length,
    invoices: made.length,
    totals: byCurrency(made.map(({ invoice }) => /** @type {NonNullable<Outcome['invoice']>} */ (invoice))),
    held: heldByModel(outcomes.flatMap(({ held }) => held)),
  };
}

/** @param {Outcome['held']} held */
function heldByModel(held) {
  const models = [...new Set(held.map(({ model }) => model))].sort();
  return models.map((model) => {
    const own = held.filter((one) => one.model === model);
    return {
      model,
      events: own.reduce((all, { events }) => all + events, 0),
      tokens: sum(own.map(({ tokens }) => tokens)),
    };
  });
}

/**
 * @param {Outcome[]} outcomes
 * @param {ReturnType<typeof summaryOf>} summary
 * @param {boolean} dryRun
 */
function tell(outcomes, { closed, failed, held, invoices, totals }, dryRun) {
  const rows = outcomes.map(({ cycle, error, invoice, tenant_id }) => [
    tenant_id,
    cycle.start,
    cycle.end,
    invoice?.number,
    invoice ? `${invoice.total} ${invoice.currency}` : error === undefined ? 'nothing to bill' : 'FAILED',
  ]);
  if (rows.length) printTable(['tenant', 'from', 'to', 'invoice', 'total'], rows);
  const amounts = Object.entries(totals).map(([currency, total]) => `${total} ${currency}`);
  const made = `${invoices} invoices${amounts.length ? `, ${amounts.join(', ')}` : ''}`;
  print(`${closed} cycles ${dryRun ? 'would be ' : ''}closed: ${made}`);
  for (const { events, model, tokens } of held) {
    print(`held, as ${model || 'no model'} has no price: ${events} events, ${tokens} tokens`);
  }
  for (const { error, id } of outcomes) if (error !== undefined) toStderr(`${id}: ${error}`);
  if (failed) toStderr(`${failed} cycles could not be closed; the same command closes them, and no other again`);
}

/** @param {Outcome[]} due */
function byTenant(due) {
  /** @type {Map<string, Outcome[]>} */
  const groups = new Map();
  for (const one of due) {
    const own = groups.get(one.tenant_id);
    if (own) own.push(one);
    else groups.set(one.tenant_id, [one]);
  }
  return groups;
}
