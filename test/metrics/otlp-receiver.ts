import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { atTestEnd } from '../helpers/test-end.ts';

export interface ReceivedSpan {
  service: string;
  scope: string;
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId: string | undefined;
  attributes: Record<string, unknown>;
  events: { name: string; attributes: Record<string, unknown> }[];
  /** Milliseconds. */
  took: number;
}

interface Attribute {
  key: string;
  value: Record<string, unknown>;
}

/** A collector that takes OTLP/HTTP in JSON at `/v1/traces`, as OpenTelemetry's own does. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  readonly headers: (string | undefined)[] = [];
  /** All that was sent, as it was sent. */
  readonly bodies: string[] = [];
  url = '';

  static async start(): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver();
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const isTraces = request.method === 'POST' && request.url === '/v1/traces';
      if (isTraces) receiver.#take(Buffer.concat(chunks).toString(), request.headers['x-collector-key'] as string);
      response.writeHead(isTraces ? 200 : 404, { 'Content-Type': 'application/json' }).end('{}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    atTestEnd(() => {
      server.closeAllConnections();
      server.close();
    });
    return receiver;
  }

  of(traceId: string): ReceivedSpan[] {
    return this.spans.filter((span) => span.traceId === traceId);
  }

  #take(body: string, key: string | undefined): void {
    this.bodies.push(body);
    this.headers.push(key);
    for (const { resource, scopeSpans } of JSON.parse(body).resourceSpans) {
      for (const { scope, spans } of scopeSpans) {
        for (const span of spans) {
          this.spans.push({
            service: String(attributesOf(resource.attributes)['service.name']),
            scope: scope.name,
            name: span.name,
            traceId: span.traceId,
            spanId: span.spanId,
            parentSpanId: span.parentSpanId,
            attributes: attributesOf(span.attributes),
            events: span.events.map((event: { name: string; attributes: Attribute[] }) => ({
              ...event,
              attributes: attributesOf(event.attributes),
            })),
            took: Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6,
          });
        }
      }
    }
  }
}

const attributesOf = (attributes: Attribute[]): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
