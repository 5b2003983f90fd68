import { toStderr } from '../lib/main.mjs';
import { clientOf, readPages } from './client.mjs';
import { print, printJson, printTable } from './output.mjs';

/** @param {import('commander').Command} program */
export function addTo(program) {
  const letters = program
    .command('dead-letters')
    .description('usage that could not be read: lists it, or reads it once more');
  letters
    .command('list')
    .description('lists them, the oldest first')
    .option('--reason <text>', 'those whose reason has this in it')
    .option('--limit <rows>', 'at most so many', '100')
    .option('--raw', 'with the entries themselves; JSON alone shows them')
    .option('--json', 'writes them as JSON')
    .action(async (options, command) => list(options, await clientOf(command)));
  letters
    .command('replay [ids...]')
    .description('reads them once more: what can be read today is in the ledger then, once')
    .option('--all', 'all that were not replayed, in place of ids')
    .option('--dry-run', 'says which could be read, and writes nothing')
    .option('--json', 'writes the result as JSON')
    .action(async (ids, options, command) => replay(ids, options, await clientOf(command)));
}

/** @typedef {import('./client.mjs').Client} Client */

/**
 * @param {{ reason?: string, limit: string, raw?: boolean, json?: boolean }} options
 * @param {Client} client
 */
async function list({ json, limit, raw, reason }, client) {
  if (!/^[1-9]\d{0,6}$/.test(limit)) throw new Error('--limit must be a whole number, such as 100');
  const query = { reason, raw: raw ? 'true' : undefined };
  const { more, rows } = await readPages(client, '/v1/dead-letters', query, Number(limit));
  if (json || raw) printJson({ data: rows });
  else if (rows.length === 0) print('there are none');
  else {
    printTable(
      ['id', 'at', 'stream', 'entry', 'replayed at', 'reason'],
      rows.map((row) => [row.id, row.at, row.stream, row.stream_id, row.replayed_at, row.reason]),
    );
  }
  if (more) toStderr(`there are more than these ${limit}: raise --limit`);
}

/**
 * @param {string[]} ids
 * @param {{ all?: boolean, dryRun?: boolean, json?: boolean }} options
 * @param {Client} client
 */
async function replay(ids, { all, dryRun = false, json }, client) {
  if ((ids.length === 0) === !all) throw new Error('name dead letters, or give --all');
  const reports = [];
  let after;
  do {
    const asked = all ? { all: true, ...(after && { after }) } : { ids };
    const report = await client.post('/v1/dead-letters/replay', { ...asked, dry_run: dryRun });
    reports.push(report);
    after = report.next;
  } while (all && after !== null);
  const total = {
    dry_run: dryRun,
    replayed: reports.flatMap((report) => report.replayed),
    refused: reports.flatMap((report) => report.refused),
    replayed_before: reports.flatMap((report) => report.replayed_before),
    unknown: reports.flatMap((report) => report.unknown),
  };
  if (json) printJson(total);
  else tell(total);
  if (total.refused.length || total.unknown.length) process.exitCode = 1;
}

/** @param {{ dry_run: boolean, replayed: string[], refused: { id: string, reason: string }[], replayed_before: string[], unknown: string[] }} total */
function tell({ dry_run, refused, replayed, replayed_before, unknown }) {
  print(`${replayed.length} ${dry_run ? 'could be' : 'are'} replayed, ${replayed_before.length} were before`);
  for (const { id, reason } of refused) print(`${id} still cannot be read: ${reason}`);
  for (const id of unknown) print(`${id}: there is no such dead letter`);
}
