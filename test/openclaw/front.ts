import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { atTestEnd } from '../helpers/test-end.ts';

/** How the sidecar may fail its callers. `down`: nobody listens. `lost`: it does what it is asked in
 * earnest, and its answer is lost. */
export type Failure = 'down' | 'slow' | 'status 500' | '{}' | 'HTML' | 'lost';

export interface Forwarded {
  path: string;
  body: string;
  status: number;
}

const SLOW_MS = 10_000;

/** Stands before a real sidecar, forwards to it, and fails in its place when it is told to. */
export class Front {
  /** What the sidecar was asked and answered, but for questions that take nothing. */
  readonly forwarded: Forwarded[] = [];
  readonly #sidecar: string;
  #server: Server;
  #port = 0;
  #failure: Failure | undefined;

  private constructor(sidecar: string) {
    this.#sidecar = sidecar;
    this.#server = this.#open();
  }

  static async start(sidecar: string): Promise<Front> {
    const front = new Front(sidecar);
    await front.#listen();
    atTestEnd(() => front.#close());
    return front;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Undefined: it fails no more. */
  async fail(failure: Failure | undefined): Promise<void> {
    const was = this.#failure;
    this.#failure = failure;
    if (failure === 'down' && was !== 'down') await this.#close();
    if (failure !== 'down' && was === 'down') await this.#listen();
  }

  #open(): Server {
    return createServer((request, response) => {
      void this.#answer(request, response).catch(() => response.destroy());
    });
  }

  async #listen(): Promise<void> {
    this.#server = this.#open();
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async #close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    switch (this.#failure) {
      case 'slow':
        await sleep(SLOW_MS, undefined, { ref: false });
        return void response.destroy();
      case 'status 500':
        return void response.writeHead(500).end('{"code":"internal_error","message":"failed"}');
      case '{}':
        return void response.setHeader('Content-Type', 'application/json').end('{}');
      case 'HTML':
        return void response.setHeader('Content-Type', 'text/html').end('<html>Welcome</html>');
      default:
        return this.#forward(request, body, response);
    }
  }

  async #forward({ headers, method = 'GET', url = '/' }: IncomingMessage, body: string, response: ServerResponse) {
    const { authorization = '' } = headers;
    const answer = await fetch(`${this.#sidecar}${url}`, {
      method,
      headers: { authorization, 'Content-Type': 'application/json' },
      ...(method !== 'GET' && { body }),
    });
    const said = Buffer.from(await answer.arrayBuffer());
    const isInEarnest = !url.includes('dry_run') && !url.startsWith('/v1/peps');
    if (isInEarnest) this.forwarded.push({ path: url, body, status: answer.status });
    if (isInEarnest && this.#failure === 'lost') return void response.destroy();
    response.writeHead(answer.status, { 'Content-Type': answer.headers.get('Content-Type') ?? 'text/plain' });
    response.end(said);
  }
}
