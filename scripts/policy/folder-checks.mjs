import { run } from '../lib/run.mjs';
import { complaint } from './complaint.mjs';
import { lint } from './regal.mjs';
import { uncoveredLines } from './uncovered-lines.mjs';

/**
 * @typedef {object} Checked
 * @property {string} opa
 * @property {string} cwd where `sources` is
 * @property {string} sources a folder of Rego, as it is to be named in messages
 * @property {string} capabilities path of the file
 * @property {string} schemas path of the folder
 *
 * @typedef {(checked: Checked) => Promise<string[]>} FolderCheck gives what is wrong, with file and line, or what mends it
 */

/**
 * Names, types and built-ins; also what the schemas of input, configuration, plan and decision do not know.
 * @type {FolderCheck}
 */
export async function isStrict({ capabilities, cwd, opa, schemas, sources }) {
  const args = ['check', '--strict', '--capabilities', capabilities, '--schema', schemas, '--bundle', sources];
  return complaint(await run(opa, args, { cwd }));
}

/** @type {FolderCheck} */
export async function isFormatted({ cwd, opa, sources }) {
  const { ok, stdout, problem } = await run(opa, ['fmt', '--diff', '--fail', sources], { cwd });
  if (ok) return [];
  return [`${sources} is not formatted; mend it with: npm run policy fmt ${sources}\n${stdout.trim() || problem}`];
}

/** @type {FolderCheck} */
export async function isTested(checked) {
  const { cwd, opa, sources } = checked;
  const failed = complaint(await run(opa, ['test', '--bundle', sources], { cwd }));
  if (failed.length) return failed;
  return (await uncoveredLines(checked)).map((line) => `no test runs ${line}; write one beside it`);
}

/**
 * @param {Checked} checked
 * @param {string | undefined} regal undefined: there is none
 */
export const isClean = ({ cwd, sources }, regal) => (regal ? lint(regal, sources, cwd) : Promise.resolve([]));
