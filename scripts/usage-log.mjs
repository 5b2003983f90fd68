// The gateway's access log, into the ledger: `npm run usage-log -- --help`. Gives it to the billing worker, since an embedded
// ledger is open to one process alone. What was done goes to standard output, what went wrong to standard error.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureBuilt } from './build.mjs';
import { ensureDependencies } from './install.mjs';
import { askService } from './lib/ask-service.mjs';
import { adminToken, billingUrl, TOKEN_HELP } from './lib/billing-api.mjs';
import { toStderr } from './lib/main.mjs';
import { projectRoot } from './lib/root.mjs';

/**
 * @typedef {object} Options
 * @property {string[]} file
 * @property {string} format
 * @property {number} [every] milliseconds
 * @property {string} [settle]
 * @property {number} bytesPerToken
 * @property {string} url
 */

const GATEWAYS = ['auto', 'nginx', 'caddy', 'traefik', 'envoy', 'haproxy'];
const UNITS = { s: 1_000, m: 60_000, h: 3_600_000 };
const LONGEST_MS = 24 * UNITS.h;

try {
  await ensureDependencies({ log: toStderr });
  if (existsSync('.env')) process.loadEnvFile('.env');
  await (await program()).parseAsync();
} catch (error) {
  toStderr(`usage-log: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

async function program() {
  const { Command, InvalidArgumentError, Option } = await import('commander');
  const wrong = (/** @type {string} */ message) => new InvalidArgumentError(message);
  return new Command('npm run usage-log --')
    .description("Imports a gateway's access log into the ledger, each request once. docs/usage-log.md shows how.")
    .requiredOption('--file <files...>', 'the log, and those that were rotated; also in gzip')
    .addOption(new Option('--format <gateway>', 'whose log it is').choices(GATEWAYS).default('auto'))
    .option('--every <time>', 'go on, and look for more after so long: 60s, 5m or 1h', (text) =>
      milliseconds(text, wrong),
    )
    .option(
      '--settle <url>',
      'report calls that nobody has reported to this sidecar, by their bytes; its token is OPA_TOKEN',
    )
    .option('--bytes-per-token <number>', 'what --settle takes a token for', (text) => positive(text, wrong), 4)
    .option('--url <url>', "the billing worker's address", billingUrl())
    .addHelpText('after', `${TOKEN_HELP}\nThe exit code is 1 if anything could not be read.`)
    .showHelpAfterError('(--help lists what there is)')
    .action(start);
}

/** @param {Options} options */
async function start({ bytesPerToken, every, file, format, settle, url }) {
  await ensureBuilt();
  const program = pathToFileURL(join(projectRoot, 'dist', 'billing-worker', 'usage-log', 'import', 'import-logs.js'));
  const { importLogs } = await import(program.href);
  const ending = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => ending.abort());
  const isComplete = await importLogs({
    files: file.map(asTyped),
    format,
    everyMs: every,
    worker: askService({ name: 'the billing worker', url, token: await adminToken() }),
    settle: settle && {
      sidecar: askService({
        name: 'the sidecar',
        url: settle,
        token: process.env.OPA_TOKEN?.split(',')[0]?.trim(),
      }),
      bytesPerToken,
      olderThanS: Number(process.env.RESERVATION_TTL_S || 900),
    },
    signal: ending.signal,
    report: (/** @type {string} */ line) => process.stdout.write(`${line}\n`),
    say: toStderr,
  });
  if (!isComplete) process.exitCode = 1;
}

/**
 * npm starts scripts in the project's folder, whatever folder it was called in.
 * @param {string} file
 */
function asTyped(file) {
  return resolve((process.env.npm_lifecycle_event === 'usage-log' && process.env.INIT_CWD) || process.cwd(), file);
}

/**
 * @param {string} text
 * @param {(message: string) => Error} wrong
 */
function milliseconds(text, wrong) {
  const [, amount, unit] = /^([1-9]\d{0,4})(s|m|h)$/.exec(text) ?? [];
  const time = Number(amount) * UNITS[/** @type {keyof typeof UNITS} */ (unit)];
  if (!(time <= LONGEST_MS)) throw wrong('It must be a time such as 60s, 5m or 1h, and 24h at most.');
  return time;
}

/**
 * @param {string} text
 * @param {(message: string) => Error} wrong
 */
function positive(text, wrong) {
  const number = Number(text);
  if (!(number > 0 && number <= 1_000)) throw wrong('It must be a number above 0, such as 4 or 3.5.');
  return number;
}
