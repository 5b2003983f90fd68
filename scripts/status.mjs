// What can be asked of which provider now, and if not, why and until when: `npm run status -- --help`. Asks the sidecar.
import { existsSync } from 'node:fs';
import { ensureDependencies } from './install.mjs';
import { askService } from './lib/ask-service.mjs';
import { toStderr } from './lib/main.mjs';
import { accountTables } from './lib/provider-tables.mjs';

try {
  await ensureDependencies({ log: toStderr });
  if (existsSync('.env')) process.loadEnvFile('.env');
  await (await program()).parseAsync();
} catch (error) {
  toStderr(`status: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

async function program() {
  const { Command } = await import('commander');
  const { HOST = '127.0.0.1', PORT = '8181' } = process.env;
  return new Command('npm run status --')
    .description('Says which models of which provider accounts can be asked now. docs/providers.md says what it means.')
    .option('--json', 'the answer as the sidecar gives it')
    .option('--url <url>', "the sidecar's address", `http://${HOST}:${PORT}`)
    .addHelpText('after', '\nIts token is read from OPA_TOKEN, also in a file .env.')
    .showHelpAfterError('(--help lists what there is)')
    .action(async (options) => status(options));
}

/** @param {{ json?: boolean, url: string }} options */
async function status({ json, url }) {
  const token = process.env.OPA_TOKEN?.split(',')[0];
  const answer = JSON.parse(await askService({ name: 'the sidecar', url, token })('/v1/status/providers'));
  if (json) return console.log(JSON.stringify(answer, null, 2));
  console.log(await accountTables(answer.accounts, Date.now()));
}
