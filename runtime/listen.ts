import type { Server } from 'node:http';
import { type HttpBindings, serve } from '@hono/node-server';
import type { Hono } from 'hono';
import { admitting } from './admission.ts';
import { answerClientError } from './client-error.ts';
import { DEFAULT_LIMITS, type ListenerLimits } from './listener-limits.ts';
import { withValidHost } from './valid-host.ts';

/** Of a request, all together; Node's own bound, said here so that no flag of it changes ours. */
const MAX_HEADERS_BYTES = 16 * 1024;
/** Connections that take too long are looked for so often; at shorter limits more often. */
const LOOK_EVERY_MS = 5_000;

export interface Listening {
  port: number;
  url: string;
  /** Still answers, and ends each connection with its next answer: whoever keeps one open learns of it without losing a request. */
  drain(): void;
  /** Accepts no more connections, lets requests in flight finish, then resolves. */
  close(): Promise<void>;
}

export interface ListenOptions {
  host: string;
  port: number;
  /** The environment variable that changes the port. */
  variable: string;
  limits?: ListenerLimits;
  /** Told of each request and connection that is one too many. */
  onRefused?: () => void;
}

/** Serves an app over HTTP; port 0 picks a free one. Throws with the address and what to do if it is taken. */
export function listen(
  app: Hono,
  { host, limits = DEFAULT_LIMITS, onRefused = () => {}, port, variable }: ListenOptions,
): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const admitted = admitting(
      withValidHost((request, env) => app.fetch(request, env)),
      { ...limits, onRefused },
    );
    const fetch: Parameters<typeof serve>[0]['fetch'] = (request, env) => admitted(request, env as HttpBindings);
    const server = serve({ fetch, hostname: host, port, serverOptions: timeLimits(limits) }, (address) => {
      const shown = host.includes(':') ? `[${host}]` : host;
      resolve({
        port: address.port,
        url: `http://${shown}:${address.port}`,
        drain: () => endConnections(server as Server),
        close: () => closeServer(server as Server),
      });
    }) as Server;
    server.on('clientError', answerClientError);
    server.on('checkContinue', (request, response) => {
      // Not while an answer to another request is still to come on this connection: where its own answer is bytes, Node would put it between
      // their head and them, and the client could no longer tell where they end. Node closes the connection after such an answer.
      if (response.socket) response.writeContinue();
      server.emit('request', request, response);
    });
    server.on('drop', onRefused);
    server.maxConnections = limits.connections;
    server.timeout = limits.silenceMs;
    // Node leaves out what is beyond a number of headers, without a word: a proxy's own, which come last, would be missing, and a
    // client's in their place would be believed. Their size bounds them.
    server.maxHeadersCount = 0;
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      reject(
        taken ? new Error(`${host}:${port} is in use; set ${variable} to a free port, or to 0 to pick one`) : error,
      );
    });
  });
}

const timeLimits = ({ headersMs, keepAliveMs, requestMs }: ListenerLimits) => ({
  maxHeaderSize: MAX_HEADERS_BYTES,
  headersTimeout: headersMs,
  requestTimeout: requestMs,
  keepAliveTimeout: keepAliveMs,
  connectionsCheckingInterval: Math.min(LOOK_EVERY_MS, Math.ceil(headersMs / 2)),
});

const endConnections = (server: Server) =>
  server.prependListener('request', (_request, response) => {
    response.shouldKeepAlive = false;
  });

const IDLE_MS = 100;

/** A client that keeps its connection busy would keep the server open: each answer from now on ends its connection. */
function closeServer(server: Server): Promise<void> {
  endConnections(server);
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_MS);
  return new Promise<void>((resolve, reject) => {
    server.close((error) => (error ? reject(error) : resolve()));
    server.closeIdleConnections();
  }).finally(() => clearInterval(idle));
}
