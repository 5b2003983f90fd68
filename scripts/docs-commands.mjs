// Tries the commands that the documentation prints, as a newcomer types them: every Markdown file that has commands
// marked for it (see lib/marked-commands.mjs) gets a fresh clone, and they run in it one after the other.
// `node scripts/docs-commands.mjs [file…]`
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cloneInto, listFiles } from './lib/clone.mjs';
import { markedCommands } from './lib/marked-commands.mjs';
import { seconds } from './lib/progress.mjs';
import { projectRoot } from './lib/root.mjs';
import { Shell } from './lib/shell.mjs';

/** @typedef {import('./lib/marked-commands.mjs').MarkedCommand} MarkedCommand */

const SHOWN_CHARACTERS = 4_000;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

const files = process.argv.length > 2 ? process.argv.slice(2) : await listFiles('--cached', '--others', '*.md');
let tried = 0;
let failed = 0;
for (const file of files) await tryFile(file);
console.log(`${tried} documented commands tried, ${failed} failed`);
if (tried === 0) console.error('no command in the documentation is marked with <!-- ci: run -->');
process.exit(tried === 0 || failed ? 1 : 0);

/** @param {string} file */
async function tryFile(file) {
  const commands = markedCommands(await readFile(join(projectRoot, file), 'utf8'), file);
  if (commands.length === 0) return;
  const temp = await mkdtemp(join(tmpdir(), 'openclaw-rating-docs-'));
  const clone = join(temp, 'project');
  /** @type {Shell[]} */
  const background = [];
  try {
    await cloneInto(clone);
    for (const command of commands) await tryCommand(file, command, clone, background);
  } finally {
    for (const shell of background) await shell.end();
    await rm(temp, { recursive: true, force: true });
  }
}

/**
 * @param {string} file
 * @param {MarkedCommand} command
 * @param {string} clone
 * @param {Shell[]} background
 */
async function tryCommand(file, command, clone, background) {
  tried++;
  const began = performance.now();
  const shell = new Shell(command.text, clone);
  if (command.background) background.push(shell);
  const problem = command.background ? await shell.ready(command) : await shell.done(command);
  const [first] = command.text.split('\n', 1);
  console.log(`${problem ? 'FAILED' : 'ok'}  ${file}:${command.line}  ${first}  (${seconds(began)} s)`);
  if (!problem) return;
  failed++;
  console.log(`${problem}; it said:\n${shell.output.slice(-SHOWN_CHARACTERS)}`);
}
