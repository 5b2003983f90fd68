// A provider's invoice, divided among the teams: `npm run allocation -- --help`. Asks the billing worker, since an embedded
// ledger is open to one process alone. Progress goes to standard error, the result to standard output or a file.
import { existsSync } from 'node:fs';
import { ensureDependencies } from './install.mjs';
import { addressOf, askBilling, billingUrl, TOKEN_HELP, writeResult } from './lib/billing-api.mjs';
import { toStderr } from './lib/main.mjs';

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
  return new Command('npm run allocation --')
    .description("Divides a provider's invoice among the teams. docs/cost-allocation.md shows how.")
    .requiredOption('--invoice-usd <amount>', 'what the invoice says, such as 2400 or 2400.50')
    .requiredOption('--by <measure>', 'requests, bytes, tokens, llm_tokens or cost')
    .requiredOption('--month <month>', 'such as 2026-10')
    .option('--timezone <name>', 'whose month it is, such as Europe/Berlin (default: UTC)')
    .option('--tenant-id <tenant>', 'the usage of this tenant alone (default: of all)')
    .option('--teams <names>', 'teams, separated by commas, that get a row also if they have used nothing')
    .addOption(new Option('--format <format>', 'what to write').choices(['csv', 'json']).default('csv'))
    .option('-o, --output <file>', 'where to write it (default: standard output)')
    .option('--url <url>', "the billing worker's address", billingUrl())
    .addHelpText('after', TOKEN_HELP)
    .showHelpAfterError('(--help lists what there is)')
    .action(async (options) => allocate(options));
}

/** @param {Options} options */
async function allocate(options) {
  const { text } = await askBilling(addressOf('/v1/allocation', options, PARAMETERS));
  const whole = options.format === 'json' ? `${JSON.stringify(JSON.parse(text), null, 2)}\n` : text;
  await writeResult(whole, { output: options.output, script: 'allocation' });
}
