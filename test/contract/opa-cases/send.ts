import { request } from 'node:http';
import { gunzipSync } from 'node:zlib';
import type { Case } from './case.ts';

export interface Reply {
  status: number;
  /** By lower-case name. */
  headers: Record<string, string>;
  text: string;
}

export type Request = Pick<Case, 'method' | 'path'> & Partial<Pick<Case, 'headers' | 'body' | 'body_base64'>>;

/** Sends it as it is: any method, no redirect followed, nothing unpacked but what says that it is gzip. */
export function send(url: string, { body, body_base64, headers = {}, method, path }: Request): Promise<Reply> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(chunks);
        const plain = response.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes;
        const flat = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
        resolve({ status: response.statusCode ?? 0, headers: Object.fromEntries(flat), text: plain.toString('utf8') });
      });
    });
    sent.on('error', reject);
    sent.end(body_base64 === undefined ? (body ?? undefined) : Buffer.from(body_base64, 'base64'));
  });
}
