import type { Server } from 'node:http';
import { serve } from '@hono/node-server';
import type { Hono } from 'hono';
import { answerClientError } from './client-error.ts';

/**
 * Longer than callers and the proxies before us keep a connection (60 s is usual). With Node's 5 s, a caller whose
 * process is busy for a moment sends its next request into a connection that is just being closed, and cannot know whether
 * it was taken: seen as "other side closed" with 256 callers on a busy machine.
 */
const KEEP_ALIVE_MS = 75_000;

export interface Listening {
  port: number;
  url: string;
  /** Accepts no more connections, lets requests in flight finish, then resolves. */
  close(): Promise<void>;
}

/** Serves an app over HTTP; port 0 picks a free one. Throws with the address and what to do if it is taken. */
export function listen(
  app: Hono,
  { host, port, variable }: { host: string; port: number; variable: string },
): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: host, port }, (address) => {
      const shown = host.includes(':') ? `[${host}]` : host;
      resolve({
        port: address.port,
        url: `http://${shown}:${address.port}`,
        close: () => closeServer(server as Server),
      });
    }) as Server;
    server.on('clientError', answerClientError);
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      reject(
        taken ? new Error(`${host}:${port} is in use; set ${variable} to a free port, or to 0 to pick one`) : error,
      );
    });
  });
}

const IDLE_MS = 100;

/** A client that keeps its connection busy would keep the server open: each answer from now on ends its connection. */
function closeServer(server: Server): Promise<void> {
  server.prependListener('request', (_request, response) => {
    response.shouldKeepAlive = false;
  });
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_MS);
  return new Promise<void>((resolve, reject) => {
    server.close((error) => (error ? reject(error) : resolve()));
    server.closeIdleConnections();
  }).finally(() => clearInterval(idle));
}
