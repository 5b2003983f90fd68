import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { atTestEnd } from './test-end.ts';

interface Asked {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface FakeOpenClaw {
  /** Host and port. */
  address: string;
  /** What has arrived whole, in order. */
  asked: Asked[];
}

/** Answers everything, and remembers what it was asked. */
export async function fakeOpenClaw(): Promise<FakeOpenClaw> {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const { headers, method = '', url = '' } = request;
    const body = await text(request).catch(() => undefined);
    if (body !== undefined) asked.push({ method, url, headers, body });
    response.end('answered by OpenClaw');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atTestEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}
