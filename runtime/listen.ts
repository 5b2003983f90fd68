import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import type { Hono } from 'hono';
import { Admission, admitting } from './admission.ts';
import { answerClientError } from './client-error.ts';
import { DEFAULT_LIMITS, type ListenerLimits } from './listener-limits.ts';
import { hostCheck, withValidHost } from './valid-host.ts';

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

/**
 * Answers a request on Node's own objects, or leaves it to the app and says so with false. `enter` is to be asked before anything costs:
 * where there is no place it is for the app to say so.
 */
export type Direct = (incoming: IncomingMessage, outgoing: ServerResponse, enter: Admission['enter']) => boolean;

export interface ListenOptions {
  host: string;
  port: number;
  /** The environment variable that changes the port. */
  variable: string;
  limits?: ListenerLimits;
  /** Told of each request and connection that is one too many. */
  onRefused?: () => void;
  /** Asked first, for every request with a host. */
  direct?: Direct | undefined;
}

/** Serves an app over HTTP; port 0 picks a free one. Throws with the address and what to do if it is taken. */
export function listen(
  app: Hono,
  { direct = () => false, host, limits = DEFAULT_LIMITS, onRefused = () => {}, port, variable }: ListenOptions,
): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const server = createServer(
      timeLimits(limits),
      listener(app, direct, { host, onRefused, requests: limits.requests }),
    );
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
    server.listen(port, host, () => {
      const shown = host.includes(':') ? `[${host}]` : host;
      const { port: given } = server.address() as AddressInfo;
      resolve({
        port: given,
        url: `http://${shown}:${given}`,
        drain: () => endConnections(server),
        close: () => closeServer(server),
      });
    });
  });
}

interface Rules {
  host: string;
  onRefused: () => void;
  /** So many may be under way. */
  requests: number;
}

function listener(app: Hono, direct: Direct, { host, onRefused, requests }: Rules): RequestListener {
  const admission = new Admission(requests);
  const enter = admission.enter.bind(admission);
  const isValid = hostCheck();
  const admitted = admitting(
    withValidHost((request, env) => app.fetch(request, env), isValid),
    admission,
    onRefused,
  );
  const byApp = getRequestListener((request, env) => admitted(request, env as HttpBindings), { hostname: host });
  return (incoming, outgoing) => {
    if (!(isValid(incoming) && direct(incoming, outgoing, enter))) void byApp(incoming, outgoing);
  };
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
