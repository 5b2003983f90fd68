import { spawn } from 'node:child_process';
import { run } from '../lib/run.mjs';
import { complaint } from './complaint.mjs';
import { absolute, OWN, shown, tools } from './place.mjs';
import { uncoveredLines } from './uncovered-lines.mjs';

/** @param {import('commander').Command} program */
export function addTest(program) {
  program
    .command('test')
    .description('run the tests of policies')
    .argument('[pattern]', 'only the tests whose name, such as data.acme.budget_test.test_one, matches it')
    .option('-f, --folder <dir>', 'a folder of your own, instead of policies/')
    .option('-w, --watch', 'again at each change, until Ctrl-C')
    .option('-c, --coverage', 'name the lines that no test runs')
    .action(async (pattern, options) => {
      const { cwd, opa, schemas } = await tools();
      const sources = shown(absolute(options.folder ?? OWN));
      const filter = pattern === undefined ? [] : ['--run', pattern];
      const args = ['test', '--bundle', '--schema', schemas, ...filter, sources];
      if (options.watch) {
        process.exitCode = await inForeground(opa, [...args, '--watch'], cwd);
        return;
      }
      await once(opa, args, cwd);
      if (options.coverage) await covered({ opa, cwd, sources }, filter);
    });
}

/**
 * @param {string} opa
 * @param {string[]} args
 * @param {string} cwd
 */
async function once(opa, args, cwd) {
  const outcome = await run(opa, [...args, '--fail-on-empty'], { cwd });
  process.stdout.write(outcome.stdout);
  if (!outcome.ok) throw new Error(outcome.stdout.trim() ? 'tests failed, or there are none' : complaint(outcome)[0]);
}

/**
 * @param {Parameters<typeof uncoveredLines>[0]} checked
 * @param {string[]} filter
 */
async function covered(checked, filter) {
  const lines = await uncoveredLines(checked, filter);
  for (const line of lines) console.log(`${line}: no test runs it`);
  if (lines.length) throw new Error(`${lines.length} lines are not covered`);
  console.log('every line is covered');
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {string} cwd
 * @returns {Promise<number>}
 */
function inForeground(program, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: 'inherit' });
    // A terminal's Ctrl-C reaches both; what is sent to this process alone is handed on.
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => child.kill(signal));
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 0));
  });
}
