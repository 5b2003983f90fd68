// Who did what, and what was refused: `npm run audit -- --help`. Asks the billing worker, page by page. Progress goes to
// standard error, the result to standard output or a file.
import { existsSync } from 'node:fs';
import { ensureDependencies } from './install.mjs';
import { addressOf, askBilling, billingUrl, TOKEN_HELP, writeResult } from './lib/billing-api.mjs';
import { toStderr } from './lib/main.mjs';

/**
 * @typedef {object} Options
 * @property {string} url
 * @property {string} [output]
 * @property {string} format
 * @property {number} limit
 */

/** Each is a parameter of `GET /v1/audit`; the worker says what is wrong with a value. */
const PARAMETERS = {
  from: 'from',
  to: 'to',
  tenantId: 'tenant_id',
  userId: 'user_id',
  actor: 'actor',
  action: 'action',
  credentialId: 'credential_id',
  target: 'target',
  format: 'format',
};

/** What the worker gives in one answer. */
const PAGE = 1_000;

try {
  await ensureDependencies({ log: toStderr });
  if (existsSync('.env')) process.loadEnvFile('.env');
  await (await program()).parseAsync();
} catch (error) {
  toStderr(`audit: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

async function program() {
  const { Command, InvalidArgumentError, Option } = await import('commander');
  const rows = (/** @type {string} */ text) => {
    if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
    throw new InvalidArgumentError('it must be a whole number, such as 100');
  };
  return new Command('npm run audit --')
    .description('Says who did what, and what was refused, the newest first. docs/audit.md shows how.')
    .option('--from <instant>', 'the first instant that counts, such as 2026-10-01T00:00:00Z')
    .option('--to <instant>', 'the first instant that no longer counts')
    .option('--tenant-id <tenant>', 'what concerns this tenant')
    .option('--user-id <user>', 'what this user asked for and was refused, its budget, its keys')
    .option('--actor <who>', 'what was done by admin, or by a process')
    .option('--action <action>', 'such as request.denied or key.revoked')
    .option('--credential-id <credential>', 'what was refused to it and, of a key, done to it')
    .option('--target <target>', 'what was done to it, such as a key, a grant or a file')
    .option('--limit <rows>', 'at most so many', rows, 100)
    .addOption(new Option('--format <format>', 'what to write').choices(['csv', 'json']).default('csv'))
    .option('-o, --output <file>', 'where to write it (default: standard output)')
    .option('--url <url>', "the billing worker's address", billingUrl())
    .addHelpText('after', TOKEN_HELP)
    .showHelpAfterError('(--help lists what there is)')
    .action(async (options) => audit(options));
}

/** @param {Options} options */
async function audit(options) {
  const { more, pages } = await readPages(options);
  await writeResult(options.format === 'json' ? joinedJson(pages) : joinedCsv(pages), {
    output: options.output,
    script: 'audit',
  });
  if (more) toStderr(`there is more than these ${options.limit} rows: raise --limit, or ask for a shorter time`);
}

/** @param {Options} options */
async function readPages({ limit, ...options }) {
  const pages = [];
  let address = addressOf('/v1/audit', options, PARAMETERS);
  for (let left = limit; ; left -= PAGE) {
    address.searchParams.set('limit', String(Math.min(left, PAGE)));
    const { headers, text } = await askBilling(address);
    pages.push(text);
    const next = /<([^>]+)>; rel="next"/.exec(headers.get('Link') ?? '')?.[1];
    if (next === undefined || left <= PAGE) return { pages, more: next !== undefined };
    address = new URL(next, address);
  }
}

/** @param {string[]} pages */
function joinedJson(pages) {
  return `${JSON.stringify({ data: pages.flatMap((page) => JSON.parse(page).data) }, null, 2)}\n`;
}

/**
 * Each page begins with the same header, in which nothing is quoted.
 * @param {string[]} pages
 */
function joinedCsv(pages) {
  return pages.map((page, index) => (index === 0 ? page : page.slice(page.indexOf('\r\n') + 2))).join('');
}
