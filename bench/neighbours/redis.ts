import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from 'redis';
import { onFreePort } from '../../test/helpers/free-port.ts';
import { Program } from './program.ts';
import type { Tools } from './tools.ts';

export interface Redis {
  url: string;
  port: number;
  pid: number;
  /** One command over a connection of its own. */
  ask(...command: string[]): Promise<unknown>;
  stop(): Promise<void>;
}

/** Those of `docker-compose.yml`: append-only file on, written out every second, seldom written anew, nothing evicted. Everybody here gets it so. */
const FLAGS = [
  ...['--appendonly', 'yes', '--auto-aof-rewrite-min-size', '512mb', '--maxmemory-policy', 'noeviction', '--save', ''],
  ...['--daemonize', 'no'],
];

/** A real redis-server of its own on a loopback port; `more` of its own flags. */
export async function startRedis(tools: Tools, more: readonly string[] = []): Promise<Redis> {
  const command = await tools.bring('redis');
  const dir = await mkdtemp(join(tools.folder, 'redis-'));
  const start = async (port: number) => {
    const args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', dir, ...FLAGS, ...more];
    const program = await Program.start(command, { args, cwd: dir, ready: /Ready to accept connections/ });
    return { program, port };
  };
  const { port, program } = await onFreePort(start, (error) => /Address already in use/.test(String(error)));
  const url = `redis://127.0.0.1:${port}`;
  return { url, port, pid: program.pid, ask: (...command) => askOnce(url, command), stop: () => program.stop() };
}

async function askOnce(url: string, command: string[]): Promise<unknown> {
  const client = createClient({ url });
  await client.connect();
  try {
    return await client.sendCommand(command);
  } finally {
    client.destroy();
  }
}
