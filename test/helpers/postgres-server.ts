import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onFreePort } from './free-port.ts';

const exec = promisify(execFile);

/** What a test needs of a server that may have been started by another process. Plain data: it is kept in a file. */
export interface PostgresServer {
  port: number;
  password: string;
  pid: number;
  /** Its folder, with `data` and `log`. */
  dir: string;
  programs: string;
  user: { uid: number; gid: number } | undefined;
}

/** Durability against power loss is switched off: a killed server loses nothing by it, and everything is much faster. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: 'off',
  full_page_writes: 'off',
  max_connections: '200',
  timezone: 'UTC',
};

/**
 * Starts a real PostgreSQL in a new folder on a free loopback port. It is nobody's child: `stopPostgresServer` ends it.
 * @param native the folder of PostgreSQL's programs and libraries
 */
export async function startPostgresServer(native: string, dir: string): Promise<PostgresServer> {
  const user = await serverUser();
  await mkdir(dir, { recursive: true });
  await chmod(dir, 0o711);
  const programs = await reachable(native, dir, user);
  const password = randomBytes(16).toString('hex');
  await initialise(programs, dir, password, user);
  return onFreePort(
    async (port) => ({ port, password, pid: await launch(programs, dir, port, user), dir, programs, user }),
    (error) => /could not create any TCP\/IP sockets|Address already in use/.test(String(error)),
  );
}

/** Starts one that has ended, on the same port and data. */
export async function restartPostgresServer(server: PostgresServer): Promise<PostgresServer> {
  const { dir, port, programs, user } = server;
  return { ...server, pid: await launch(programs, dir, port, user) };
}

/** Ends it in order, dropping its clients. */
export async function stopPostgresServer({ programs, dir, user }: PostgresServer): Promise<void> {
  await exec(join(programs, 'bin', 'pg_ctl'), ['stop', '-D', join(dir, 'data'), '-m', 'fast', '-w'], {
    ...user,
    cwd: dir,
  });
}

export const postgresUrl = ({ port, password }: PostgresServer, database: string): string =>
  `postgres://postgres:${password}@127.0.0.1:${port}/${database}`;

/** PostgreSQL refuses to run as root, so there it runs as the user that owns nothing. */
async function serverUser(): Promise<PostgresServer['user']> {
  if (process.getuid?.() !== 0) return undefined;
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => Number((await exec('id', [flag, 'nobody'])).stdout)),
  );
  return { uid: uid as number, gid: gid as number };
}

/** Another user may not get to a project that lies in root's home: the programs are then copied to the server's folder. */
async function reachable(native: string, dir: string, user: PostgresServer['user']): Promise<string> {
  if (!user) return native;
  try {
    await exec(join(native, 'bin', 'postgres'), ['--version'], { ...user, cwd: dir });
    return native;
  } catch {
    await cp(native, join(dir, 'native'), { recursive: true, verbatimSymlinks: true });
    return join(dir, 'native');
  }
}

async function initialise(
  programs: string,
  dir: string,
  password: string,
  user: PostgresServer['user'],
): Promise<void> {
  const data = join(dir, 'data');
  const passwordFile = join(dir, 'password');
  await mkdir(data, { mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600 });
  await writeFile(join(dir, 'log'), '');
  if (user) for (const path of [data, passwordFile, join(dir, 'log')]) await chown(path, user.uid, user.gid);
  const login = ['--username=postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  const rest = ['--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions'];
  await exec(join(programs, 'bin', 'initdb'), ['-D', data, ...login, ...rest], { ...user, cwd: dir });
}

async function launch(programs: string, dir: string, port: number, user: PostgresServer['user']): Promise<number> {
  const data = join(dir, 'data');
  const settings = Object.entries({ ...SETTINGS, port: String(port) }).map(([name, value]) => `-c ${name}='${value}'`);
  const args = ['start', '-D', data, '-l', join(dir, 'log'), '-w', '-t', '30', '-o', settings.join(' ')];
  try {
    await exec(join(programs, 'bin', 'pg_ctl'), args, { ...user, cwd: dir });
  } catch (cause) {
    throw new Error(`PostgreSQL did not start:\n${await readFile(join(dir, 'log'), 'utf8')}`, { cause });
  }
  const [pid] = (await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n');
  return Number(pid);
}
