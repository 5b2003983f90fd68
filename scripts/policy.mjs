// Everything for those who write policies: `npm run policy` lists the commands. Installs and compiles what is missing.
// Progress goes to standard error, results to standard output.
import { ensureDependencies } from './install.mjs';
import { toStderr } from './lib/main.mjs';

try {
  await ensureDependencies({ log: toStderr });
  const { policyProgram } = await import('./policy/program.mjs');
  await policyProgram().parseAsync();
} catch (error) {
  toStderr(`policy: ${error.message}`);
  process.exitCode = 1;
}
