import type { IncomingMessage } from 'node:http';
import type { Context } from 'hono';

/** `127.0.0.1:54321`, of whoever is at the other end of the connection; undefined where there is none. */
export const callerAddress = (c: Context): string | undefined =>
  addressOf((c.env as { incoming?: IncomingMessage } | undefined)?.incoming);

/** The same of Node's request. */
export function addressOf(incoming: IncomingMessage | undefined): string | undefined {
  const socket = incoming?.socket;
  return socket?.remoteAddress === undefined ? undefined : `${socket.remoteAddress}:${socket.remotePort}`;
}
