import { toStderr } from '../lib/main.mjs';
import { clientOf } from './client.mjs';
import { print, printJson } from './output.mjs';

/** @param {import('commander').Command} program */
export function addTo(program) {
  program
    .command('reconcile')
    .description('proves that ledger, rollups, invoices and counters agree; ends with 1 where they do not')
    .option('--tenant-id <tenant>', 'of this tenant alone (default: of all)')
    .option('--cycle <instant>', 'of the cycle of --tenant-id that begins then')
    .option('--repair', 'makes wrong rollups what the ledger sums up to')
    .option('--dry-run', 'with --repair: says what would be repaired, and writes nothing')
    .option('--json', 'writes the result as JSON')
    .action(async (options, command) => reconcile(options, await clientOf(command)));
}

/**
 * @param {{ tenantId?: string, cycle?: string, repair?: boolean, dryRun?: boolean, json?: boolean }} options
 * @param {import('./client.mjs').Client} client
 */
async function reconcile({ cycle, dryRun = false, json, repair, tenantId }, client) {
  const { checked, data } = await readAll({ tenant_id: tenantId, cycle }, client);
  const repaired = repair ? await repairAll(data, dryRun, client) : [];
  if (json) printJson({ ok: data.length === 0, checked, data, ...(repair && { repaired }) });
  else tell(checked, data, repaired, dryRun);
  const unrepaired = data.some((one) => one.invoices.found || one.counters.found || !repair || dryRun);
  if (unrepaired) process.exitCode = 1;
}

/**
 * @param {Record<string, string | undefined>} query
 * @param {import('./client.mjs').Client} client
 */
async function readAll(query, client) {
  /** @type {any[]} */
  const data = [];
  let checked = 0;
  let after;
  for (;;) {
    const page = await client.get('/v1/reconcile', { ...query, limit: '20', after });
    checked += page.checked;
    data.push(...page.data);
    if (page.next === null) return { checked, data };
    toStderr(`${checked} tenants are checked`);
    after = page.next;
  }
}

/**
 * @param {any[]} data
 * @param {boolean} dryRun
 * @param {import('./client.mjs').Client} client
 */
async function repairAll(data, dryRun, client) {
  const repaired = [];
  for (const { rollups, tenant_id } of data) {
    const done = new Set();
    // Not all drift is told at once; what is repaired is told no more.
    for (let drifts = rollups.drifts; drifts.length; ) {
      const cycles = new Set(drifts.map((/** @type {any} */ drift) => drift.cycle.start));
      const fresh = [...cycles].filter((cycle) => !done.has(cycle));
      for (const cycle of fresh) {
        done.add(cycle);
        repaired.push(await client.post('/v1/reconcile/repair', { tenant_id, cycle, dry_run: dryRun }));
      }
      if (dryRun || fresh.length === 0) break;
      const { data: left } = await client.get('/v1/reconcile', { tenant_id });
      drifts = left[0]?.rollups.drifts ?? [];
    }
  }
  return repaired;
}

/**
 * @param {number} checked
 * @param {any[]} data
 * @param {any[]} repaired
 * @param {boolean} dryRun
 */
function tell(checked, data, repaired, dryRun) {
  for (const { counters, invoices, rollups, tenant_id } of data) {
    print(`${tenant_id}:`);
    for (const drift of rollups.drifts) print(`  rollup ${rollupText(drift)}`);
    for (const drift of invoices.drifts) print(`  invoice ${invoiceText(drift)}`);
    for (const drift of counters.drifts) print(`  counter ${counterText(drift)}`);
    for (const { drifts, found } of [rollups, invoices, counters]) {
      if (found > drifts.length && drifts.length) print(`  … ${found} in all`);
    }
  }
  print(`${checked} tenants checked, ${data.length} with drift`);
  for (const { added, changed, cycle, removed, tenant_id } of repaired) {
    const what = `${changed} changed, ${added} added, ${removed} removed`;
    print(`rollups of ${tenant_id}, ${cycle}, ${dryRun ? 'would be repaired' : 'are repaired'}: ${what}`);
  }
}

/** @param {any} drift */
function rollupText({ cycle, day, decisions, model, project_id, sums, team_id, user_id }) {
  const key = [cycle.start, day, user_id, team_id, project_id, model].map((part) => part ?? '-').join(' ');
  const columns = Object.entries(sums).map(([name, { ledger, rollups }]) => `${name} ${rollups}, ledger ${ledger}`);
  return `${key}: ${columns.join('; ')}${decisionsText(decisions)}`;
}

/** @param {any} drift */
function invoiceText({ billed, decisions, description, invoice, ledger, line, what }) {
  const where = [invoice, line && `line ${line}`, description].filter(Boolean).join(', ');
  const amounts = billed === null ? '' : ` ${billed}, ledger ${ledger}`;
  return `${what}${where && ` ${where}:`}${amounts}${decisionsText(decisions)}`;
}

/** @param {any} drift */
function counterText({ between, counter, decisions, ledger, limit, unit }) {
  return `${limit} (${unit}), ${between.from} to ${between.to}: ${counter}, ledger ${ledger}${decisionsText(decisions)}`;
}

/** @param {string[]} decisions */
const decisionsText = (decisions) => (decisions.length ? `\n    decisions ${decisions.join(' ')}` : '');
