// `npm run bench:ingest -- --help`. Compiles the benchmark, brings a PostgreSQL of its own unless one is named, and runs it.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { bringPostgres } from '../../scripts/bring-postgres.mjs';
import { toStderr } from '../../scripts/lib/main.mjs';
import { cacheDir, projectRoot } from '../../scripts/lib/root.mjs';
import { run } from '../../scripts/lib/run.mjs';

const whole = (/** @type {string} */ text) => {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`${JSON.stringify(text)} is no whole number`);
  return Number(text);
};

const options = new Command()
  .name('bench:ingest')
  .description(
    'the way of usage events into the ledger, against a bare COPY of the same rows into a table without an index',
  )
  .option('--events <n>', 'events of a round', whole, 20_000)
  .option('--rounds <n>', 'rounds that count, each of both; one more goes before them', whole, 5)
  .option('--batch <n>', 'events that the worker takes at once', whole, 1_000)
  .option('--shuffled', 'in any order of time, instead of that of the stream')
  .option('--full', 'memory too: the process after 100,000 and after 1,000,000 events')
  .option('--database-url <url>', 'an empty database of a server, instead of one of its own (whose fsync is off)')
  .parse()
  .opts();

const compiled = await run(
  process.execPath,
  [join(projectRoot, 'node_modules/typescript/bin/tsc'), '-p', 'bench/tsconfig.json'],
  {
    cwd: projectRoot,
  },
);
if (!compiled.ok) throw new Error(`the benchmark does not compile:\n${compiled.stdout || compiled.problem}`);
const load = (/** @type {string} */ file) => import(pathToFileURL(join(cacheDir, 'bench', file)).href);
const { benchmark } = await load('bench/ingest/benchmark.js');
if (options.databaseUrl) await benchmark(options.databaseUrl, options);
else await onOwnServer((/** @type {string} */ url) => benchmark(url, options));

async function onOwnServer(/** @type {(url: string) => Promise<void>} */ work) {
  const { native } = await bringPostgres({ log: toStderr });
  const { postgresUrl, startPostgresServer, stopPostgresServer } = await load('test/helpers/postgres-server.js');
  const folder = await mkdtemp(join(tmpdir(), 'openclaw-rating-bench-'));
  // PostgreSQL does not run as root: its user must get in.
  await chmod(folder, 0o711);
  const server = await startPostgresServer(native, join(folder, 'postgres'));
  try {
    await work(postgresUrl(server, 'postgres'));
  } finally {
    await stopPostgresServer(server);
    await rm(folder, { recursive: true, force: true });
  }
}
