import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { RespSplitter } from '../helpers/resp-splitter.ts';
import type { Target } from '../helpers/tcp-proxy.ts';
import { atTestEnd } from '../helpers/test-end.ts';

/** Within this time the server has answered what came before, so that replies keep their order. */
const ANSWERED_MS = 20;

/** A way to a Redis on which scripts can be answered with an error of our own, as servers give them that we cannot bring to it. */
export interface RefusingRedis {
  url: string;
  /** Until it is undefined again, no script reaches the server, and each is answered with this. */
  error: string | undefined;
}

export async function startRefusingRedis(target: Target): Promise<RefusingRedis> {
  const refusing: RefusingRedis = { url: '', error: undefined };
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect({ ...target, noDelay: true });
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => undefined));
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy()).pipe(client);
    const commands = new RespSplitter();
    let turn = Promise.resolve();
    client.on('data', (chunk) => {
      for (const { bytes, command } of commands.push(chunk)) {
        turn = turn.then(async () => {
          if (refusing.error === undefined || !command?.[0]?.startsWith('EVAL')) return void upstream.write(bytes);
          await sleep(ANSWERED_MS);
          client.write(`-${refusing.error}\r\n`);
        });
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  atTestEnd(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  refusing.url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return refusing;
}
