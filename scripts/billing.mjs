// Invoices, and what proves them: `npm run billing -- --help`. Asks the billing worker. Progress and summaries for people go to standard
// error where the result is a document, else to standard output. Money is decimals as text, and never a floating-point number.
import { existsSync } from 'node:fs';
import { ensureDependencies } from './install.mjs';
import { billingUrl, TOKEN_HELP } from './lib/billing-api.mjs';
import { toStderr } from './lib/main.mjs';

try {
  await ensureDependencies({ log: toStderr });
  if (existsSync('.env')) process.loadEnvFile('.env');
  await (await program()).parseAsync();
} catch (error) {
  toStderr(`billing: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

async function program() {
  const { Command } = await import('commander');
  const program = new Command('npm run billing --')
    .description('Closes billing cycles, and looks after their invoices. docs/billing.md shows how.')
    .option('--url <url>', "the billing worker's address", billingUrl())
    .addHelpText('after', TOKEN_HELP)
    .showHelpAfterError('(--help lists what there is)');
  const commands = await Promise.all([
    import('./billing/close.mjs'),
    import('./billing/read.mjs'),
    import('./billing/change.mjs'),
    import('./billing/held.mjs'),
    import('./billing/reconcile.mjs'),
    import('./billing/reprice.mjs'),
    import('./billing/export.mjs'),
    import('./billing/dead-letters.mjs'),
  ]);
  for (const { addTo } of commands) addTo(program);
  return program;
}
