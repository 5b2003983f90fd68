import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ProcessRegistry } from '../setup/registry.ts';
import { loadScript } from '../setup/scripts.ts';
import { testRun } from '../setup/test-run.ts';
import { bringPostgres } from './bring.ts';
import { type PostgresServer, startPostgresServer, stopPostgresServer } from './postgres-server.ts';

const describedIn = (runDir: string) => join(runDir, 'postgres.json');

/** The one server of this run, started by whichever test file asks first; it takes about a second. */
export async function sharedPostgres(): Promise<PostgresServer> {
  const { dir, mainPid } = testRun();
  const running = await read(dir);
  if (running) return running;
  const { native } = await bringPostgres();
  const { withLock } = await loadScript('lib/lock.mjs');
  return withLock(join(dir, 'postgres.lock'), async () => {
    const started = await read(dir);
    if (started) return started;
    const server = await startPostgresServer(native, join(dir, 'postgres'));
    // SIGQUIT is PostgreSQL's own immediate shutdown: its children end with it.
    new ProcessRegistry(dir).add(server.pid, { owner: mainPid, signal: 'SIGQUIT' });
    await writeFile(`${describedIn(dir)}.part`, JSON.stringify(server), { mode: 0o600 });
    await rename(`${describedIn(dir)}.part`, describedIn(dir));
    return server;
  });
}

/** At the end of the run. Does nothing if no test asked for it. */
export async function stopSharedPostgres(runDir: string): Promise<void> {
  const server = await read(runDir);
  if (server) await stopPostgresServer(server);
}

async function read(runDir: string): Promise<PostgresServer | undefined> {
  const text = await readFile(describedIn(runDir), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as PostgresServer);
}
