import type { IncomingMessage } from 'node:http';
import type { Context } from 'hono';

/** `127.0.0.1:54321`, of whoever is at the other end of the connection; undefined where there is none. */
export function callerAddress(c: Context): string | undefined {
  const socket = (c.env as { incoming?: IncomingMessage } | undefined)?.incoming?.socket;
  return socket?.remoteAddress === undefined ? undefined : `${socket.remoteAddress}:${socket.remotePort}`;
}
