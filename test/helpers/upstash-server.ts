import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { ErrorReply } from 'redis';
import { atTestEnd } from './test-end.ts';
import { UpstashCommands } from './upstash-commands.ts';
import { type Encoding, type RedisReply, type RestReply, restReply } from './upstash-replies.ts';

const MAX_REQUEST_BYTES = 1_048_576;

interface Answer {
  status: number;
  body: RestReply | RestReply[];
}

type RunMany = (commands: string[][]) => Promise<RedisReply[] | ErrorReply>;

const refused = (status: number, error: string): Answer => ({ status, body: { error } });

/**
 * Upstash's REST API, as far as its documentation describes it, in front of a real Redis: `POST /` with a command,
 * `/pipeline` and `/multi-exec` with many; its statuses, errors, encodings and limits.
 */
export class UpstashServer {
  readonly host = '127.0.0.1';
  readonly token: string;
  readonly #commands: UpstashCommands;
  readonly #many: Map<string, RunMany>;
  readonly #server: Server;
  /** HTTP requests, whatever came of them. */
  requests = 0;
  /** TCP connections that were opened. */
  connections = 0;
  #port = 0;

  constructor(redisUrl: string, token: string) {
    this.token = token;
    const commands = new UpstashCommands(redisUrl);
    this.#commands = commands;
    this.#many = new Map<string, RunMany>([
      ['/pipeline', (many) => commands.pipeline(many)],
      ['/multi-exec', (many) => commands.transaction(many)],
    ]);
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.on('connection', () => {
      this.connections += 1;
    });
  }

  async start(): Promise<this> {
    await this.#commands.open();
    await this.listen();
    return this;
  }

  /** Begins to accept connections, again on the same port after `stop`. */
  async listen(): Promise<void> {
    this.#server.listen(this.#port, this.host);
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Nobody is there any more; what is under way breaks. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async end(): Promise<void> {
    await this.stop();
    this.#commands.close();
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://${this.host}:${this.#port}`;
  }

  /** Redis commands executed, as they would be billed. */
  get commands(): number {
    return this.#commands.executed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests += 1;
    try {
      const { body, status } = await this.#answer(request, await buffer(request));
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    } catch {
      // Without its Redis there is no server.
      request.destroy();
    }
  }

  async #answer(request: IncomingMessage, bytes: Buffer): Promise<Answer> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    const token = searchParams.get('_token') ?? /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1];
    if (token !== this.token) return refused(401, 'WRONGPASS invalid or missing auth token');
    if (request.method !== 'POST') return refused(405, 'ERR method is not allowed');
    if (bytes.length > MAX_REQUEST_BYTES) {
      const figures = `Limit: ${MAX_REQUEST_BYTES} bytes, Actual: ${bytes.length} bytes`;
      return refused(400, `ERR max request size exceeded. ${figures}`);
    }
    const encoding = request.headers['upstash-encoding'] === 'base64' ? 'base64' : 'json';
    return this.#run(pathname, parsed(bytes), encoding);
  }

  async #run(path: string, body: unknown, encoding: Encoding): Promise<Answer> {
    if (path === '/') {
      if (!isCommand(body)) return refused(400, 'ERR failed to parse command');
      const reply = restReply(await this.#commands.run(body.map(String)), encoding);
      return { status: 'error' in reply ? 400 : 200, body: reply };
    }
    const run = this.#many.get(path);
    if (!run) return refused(400, `ERR command is not available: '${path}'`);
    if (!Array.isArray(body) || !body.every(isCommand)) return refused(400, 'ERR failed to parse pipeline request');
    const replies = await run(body.map((command) => command.map(String)));
    if (replies instanceof ErrorReply) return refused(400, replies.message);
    return { status: 200, body: replies.map((reply) => restReply(reply, encoding)) };
  }
}

/** Undefined if it is not JSON. */
function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

const isCommand = (value: unknown): value is (string | number | boolean)[] =>
  Array.isArray(value) && value.length > 0 && value.every((part) => typeof part !== 'object');

/** Listens on a free loopback port; ended with the test. */
export async function startUpstash(redis: { url: string }, token = 'upstash-token'): Promise<UpstashServer> {
  const server = await new UpstashServer(redis.url, token).start();
  atTestEnd(() => server.end());
  return server;
}
