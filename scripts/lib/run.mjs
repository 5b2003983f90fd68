import { execFile } from 'node:child_process';

/**
 * @typedef {object} Outcome
 * @property {boolean} ok the program ran and ended with 0
 * @property {string} stdout
 * @property {string} stderr
 * @property {string} problem empty when ok; else the command and the end of what it said
 *
 * @typedef {object} RunOptions
 * @property {string} [cwd]
 * @property {NodeJS.ProcessEnv} [env]
 * @property {number} [timeoutMs] the program is killed after this
 */

/**
 * Runs a program to its end without standard input. Never throws: a program that is missing, fails or hangs is an outcome.
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<Outcome>}
 */
export function run(command, args, { cwd, env = process.env, timeoutMs = 300_000 } = {}) {
  return new Promise((resolve) => {
    const limits = { timeout: timeoutMs, killSignal: /** @type {const} */ ('SIGKILL'), maxBuffer: 2 ** 26 };
    const child = execFile(command, args, { cwd, env, ...limits }, (error, stdout, stderr) => {
      const problem = error ? `${[command, ...args].join(' ')}: ${reason(error, stdout, stderr)}` : '';
      resolve({ ok: !error, stdout, stderr, problem });
    });
    child.stdin?.end();
  });
}

/**
 * @param {import('node:child_process').ExecFileException} error
 * @param {string} stdout
 * @param {string} stderr
 */
function reason(error, stdout, stderr) {
  if (error.code === 'ENOENT') return 'not found';
  if (error.killed) return 'did not end in time';
  const said = (stderr.trim() || stdout.trim()).split('\n').slice(-5).join('\n');
  return said || `ended with ${error.signal ?? error.code}`;
}

/**
 * As `run`, but anything else than success is thrown.
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions} [options]
 */
export async function mustRun(command, args, options) {
  const outcome = await run(command, args, options);
  if (!outcome.ok) throw new Error(outcome.problem);
  return outcome;
}
