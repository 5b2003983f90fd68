// `npm run bench:day -- --help`. Compiles the simulation and runs it.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { ensureBuilt } from '../../scripts/build.mjs';
import { cacheDir, projectRoot } from '../../scripts/lib/root.mjs';
import { run } from '../../scripts/lib/run.mjs';

const whole = (/** @type {number} */ most) => (/** @type {string} */ text) => {
  if (/^\d+$/.test(text) && Number(text) <= most) return Number(text);
  throw new InvalidArgumentError(`It must be a whole number up to ${most}.`);
};

const options = new Command()
  .name('bench:day')
  .description('a working day of 50 users on providers that enforce their limits, with the sidecar and without it')
  .option('--seed <n>', 'the same seed gives the same day', whole(1_000_000), 1)
  .option('--kept-back <percent>', 'what the sidecar leaves of each limit', whole(50), 5)
  .option('--causes', 'where 429s come from in two busy hours, and what it takes to have none; takes some minutes')
  .parse()
  .opts();

// The policy's thread runs what is in dist/.
await ensureBuilt();
await compile('bench/tsconfig.json');
const { benchmark } = await import(pathToFileURL(join(cacheDir, 'bench/bench/day/benchmark.js')).href);
await benchmark(options);

async function compile(/** @type {string} */ project) {
  const compiler = join(projectRoot, 'node_modules/typescript/bin/tsc');
  const compiled = await run(process.execPath, [compiler, '-p', project], { cwd: projectRoot });
  if (!compiled.ok) throw new Error(`${project} does not compile:\n${compiled.stdout || compiled.problem}`);
}
