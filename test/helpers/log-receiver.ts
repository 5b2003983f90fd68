import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import type { DecisionEvent } from '../../sidecar/decision-log/event.ts';
import { atTestEnd } from './test-end.ts';

/** What happens to an upload instead of its being taken; a number is a status. */
export type Fault = 'hang' | 'reset' | 'reset after it is taken' | number;

/** A service that takes decision logs as OPA sends them: gzipped JSON arrays to `POST /logs`. */
export class LogReceiver {
  /** What it has taken, in the order of arrival. */
  readonly events: DecisionEvent[] = [];
  /** Of every upload, also of those that it does not take. */
  readonly requests: { url: string; authorization: string | undefined; bytes: number; events: number }[] = [];
  /** What happens to the upload of this number, from 0. */
  faultAt: (request: number) => Fault | undefined = () => undefined;
  /** An upload with this decision in it is answered with 400. */
  refuses: (decisionId: string) => boolean = () => false;
  /** Where it sends those whom it answers with a status. */
  location = '';
  #server: Server | undefined;
  #port = 0;

  static async start(): Promise<LogReceiver> {
    const receiver = new LogReceiver();
    await receiver.up();
    atTestEnd(() => receiver.down());
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get ids(): string[] {
    return this.events.map(({ decision_id }) => decision_id);
  }

  /** On the port that it had. */
  async up(): Promise<void> {
    this.#server = createServer((request, response) => void this.#take(request, response));
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Connections are refused, and those that are open are cut. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const isRight =
      request.method === 'POST' && request.url === '/logs' && request.headers['content-encoding'] === 'gzip';
    const events = isRight ? (JSON.parse(gunzipSync(body).toString()) as DecisionEvent[]) : [];
    const isRefused = events.some(({ decision_id }) => this.refuses(decision_id));
    const fault = isRefused ? 400 : this.faultAt(this.requests.length);
    const { authorization } = request.headers;
    this.requests.push({ url: request.url ?? '', authorization, bytes: body.length, events: events.length });
    if (!isRight) return void response.writeHead(404).end();
    if (fault === undefined || fault === 'reset after it is taken') this.events.push(...events);
    if (fault === undefined) response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}');
    else if (typeof fault === 'number') response.writeHead(fault, { Location: this.location }).end('no');
    else if (fault !== 'hang') request.socket.resetAndDestroy();
  }
}
