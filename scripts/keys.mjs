// API keys: `npm run keys -- --help`. Asks a sidecar, which every other one learns it from. A new key is all that goes to
// standard output, so that it can be put where it belongs without being shown; what is known of it goes to standard error.
import { existsSync } from 'node:fs';
import { ensureDependencies } from './install.mjs';
import { askService } from './lib/ask-service.mjs';
import { adminToken, TOKEN_HELP } from './lib/billing-api.mjs';
import { toStderr } from './lib/main.mjs';

try {
  await ensureDependencies({ log: toStderr });
  if (existsSync('.env')) process.loadEnvFile('.env');
  await (await program()).parseAsync();
} catch (error) {
  toStderr(`keys: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

async function program() {
  const { Command } = await import('commander');
  const program = new Command('npm run keys --')
    .description('API keys for the callers of the sidecar. docs/keys.md shows how.')
    .option('--url <url>', "a sidecar's address", `http://127.0.0.1:${process.env.PORT || 8181}`)
    .addHelpText('after', TOKEN_HELP)
    .showHelpAfterError('(--help lists what there is)');
  program
    .command('issue')
    .description('makes a key, and prints it: it is never shown again')
    .option('--tenant-id <tenant>', 'whose it is (default: the only one there is)')
    .option('--team-id <team>', 'for this team alone')
    .option('--user-id <user>', 'for this user alone')
    .option('--name <name>', 'for people')
    .option('--expires-in <duration>', 'such as 90d (default: never)')
    .option('--reason <text>', 'why, for the audit')
    .action(async (options, { parent }) => made(await ask(parent, 'POST', '', bodyOf(options))));
  program
    .command('list')
    .description('lists keys, as JSON')
    .option('--tenant-id <tenant>', 'those of this tenant alone')
    .action(async (options, { parent }) => print(await all(parent, options.tenantId)));
  program
    .command('rotate <id>')
    .description('puts another key in the place of this one, and prints it; both go on until the grace is over')
    .option('--grace <duration>', 'such as 24h; 0s ends the old one at once (default: 72h)')
    .option('--expires-in <duration>', 'of the new one, such as 90d (default: as long a life as the old one was given)')
    .option('--reason <text>', 'why, for the audit')
    .action(async (id, options, { parent }) =>
      made(await ask(parent, 'POST', `/${encodeURIComponent(id)}/rotate`, bodyOf(options))),
    );
  program
    .command('revoke <id>')
    .description('ends a key for every sidecar within a second')
    .option('--reason <text>', 'why, for the audit')
    .action(async (id, options, { parent }) =>
      print(await ask(parent, 'POST', `/${encodeURIComponent(id)}/revoke`, bodyOf(options))),
    );
  return program;
}

/**
 * @param {import('commander').Command} program
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>}
 */
async function ask(program, method, path, body) {
  const sidecar = askService({ name: 'the sidecar', url: program.opts().url, token: await adminToken() });
  const init = { method, ...(body && { body: JSON.stringify(body) }) };
  return JSON.parse(await sidecar(`/api/admin/keys${path}`, init));
}

/**
 * @param {import('commander').Command} program
 * @param {string | undefined} tenant
 */
async function all(program, tenant) {
  const keys = [];
  const query = new URLSearchParams(tenant === undefined ? {} : { tenant_id: tenant });
  for (;;) {
    const page = await ask(program, 'GET', `?${query}`);
    keys.push(...page.keys);
    if (page.next === undefined) return keys;
    query.set('after', page.next);
  }
}

/**
 * `tenantId` is `tenant_id` on the wire.
 * @param {Record<string, string>} options
 */
function bodyOf(options) {
  const wire = (/** @type {string} */ name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [wire(name), value]));
}

/** @param {{ key: string, [field: string]: unknown }} issued */
function made({ key, ...about }) {
  toStderr(JSON.stringify(about, null, 2));
  toStderr('this is the key; it is never shown again:');
  process.stdout.write(`${key}\n`);
}

/** @param {unknown} value */
function print(value) {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
