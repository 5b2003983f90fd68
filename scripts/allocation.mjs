// A provider's invoice, divided among the teams: `npm run allocation -- --help`. Asks the billing worker, since an embedded
// ledger is open to one process alone. Progress goes to standard error, the result to standard output or a file.
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ensureDependencies } from './install.mjs';
import { toStderr } from './lib/main.mjs';
import { projectRoot } from './lib/root.mjs';

/**
 * @typedef {object} Options
 * @property {string} url
 * @property {string} [output]
 * @property {string} format
 */

/** Each is a parameter of `GET /v1/allocation`; the worker says what is wrong with a value. */
const PARAMETERS = {
  invoiceUsd: 'invoice_usd',
  by: 'by',
  month: 'month',
  timezone: 'timezone',
  tenantId: 'tenant_id',
  teams: 'teams',
  format: 'format',
};

try {
  await ensureDependencies({ log: toStderr });
  if (existsSync('.env')) process.loadEnvFile('.env');
  await (await program()).parseAsync();
} catch (error) {
  toStderr(`allocation: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

async function program() {
  const { Command, Option } = await import('commander');
  const worker = `http://127.0.0.1:${process.env.BILLING_PORT || 8182}`;
  return new Command('npm run allocation --')
    .description("Divides a provider's invoice among the teams. docs/cost-allocation.md shows how.")
    .requiredOption('--invoice-usd <amount>', 'what the invoice says, such as 2400 or 2400.50')
    .requiredOption('--by <measure>', 'requests, tokens, llm_tokens or cost')
    .requiredOption('--month <month>', 'such as 2026-10')
    .option('--timezone <name>', 'whose month it is, such as Europe/Berlin (default: UTC)')
    .option('--tenant-id <tenant>', 'the usage of this tenant alone (default: of all)')
    .option('--teams <names>', 'teams, separated by commas, that get a row also if they have used nothing')
    .addOption(new Option('--format <format>', 'what to write').choices(['csv', 'json']).default('csv'))
    .option('-o, --output <file>', 'where to write it (default: standard output)')
    .option('--url <url>', "the billing worker's address", worker)
    .addHelpText('after', '\nThe token is ADMIN_TOKEN, else the one that `npm start` keeps in DATA_DIR.')
    .showHelpAfterError('(--help lists what there is)')
    .action(async (options) => write(await ask(options), options));
}

/**
 * @param {Options} options
 * @returns {Promise<string>}
 */
async function ask(options) {
  const address = new URL('/v1/allocation', options.url);
  for (const [option, parameter] of Object.entries(PARAMETERS)) {
    const value = /** @type {Record<string, string | undefined>} */ ({ ...options })[option];
    if (value !== undefined) address.searchParams.set(parameter, value);
  }
  const headers = { Authorization: `Bearer ${await adminToken()}` };
  const response = await fetch(address, { headers }).catch((error) => {
    throw new Error(
      `the billing worker at ${address.origin} cannot be reached: ${error.cause?.message ?? error.message}`,
    );
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`the billing worker answered ${response.status}: ${messageOf(text)}`);
  return text;
}

async function adminToken() {
  const { ADMIN_TOKEN, DATA_DIR = '.data' } = process.env;
  if (ADMIN_TOKEN) return ADMIN_TOKEN;
  const kept = await readFile(join(resolve(projectRoot, DATA_DIR), 'admin-token'), 'utf8').catch(() => undefined);
  if (kept) return kept.trim();
  throw new Error('set ADMIN_TOKEN to the one of the billing worker');
}

/** @param {string} text */
function messageOf(text) {
  try {
    return JSON.parse(text).message;
  } catch {
    return text.slice(0, 200);
  }
}

/**
 * @param {string} text
 * @param {Options} options
 */
async function write(text, { format, output }) {
  const whole = format === 'json' ? `${JSON.stringify(JSON.parse(text), null, 2)}\n` : text;
  if (output === undefined) {
    process.stdout.write(whole);
    return;
  }
  // npm starts scripts in the project's folder, whatever folder it was called in.
  const here = (process.env.npm_lifecycle_event === 'allocation' && process.env.INIT_CWD) || process.cwd();
  await writeFile(resolve(here, output), whole);
  toStderr(`written to ${resolve(here, output)}`);
}
