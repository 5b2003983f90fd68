import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';

const pack = promisify<string, Buffer>(gzip);

export interface ReplyOptions {
  pretty?: boolean;
  status?: ContentfulStatusCode;
  headers?: Record<string, string>;
}

/** JSON as OPA writes it: on one line that ends, or indented by two. */
export function reply(
  c: Context,
  value: unknown,
  { headers, pretty = false, status = 200 }: ReplyOptions = {},
): Response {
  return c.body(text(value, pretty), status, { 'Content-Type': 'application/json', ...headers });
}

/** The same for the Data API, which is compressed where the caller takes it and it is long enough to be worth it. */
export function dataReply(
  c: Context,
  value: unknown,
  gzipMinLength: number,
  { headers, pretty = false, status = 200 }: ReplyOptions = {},
): Response | Promise<Response> {
  const body = text(value, pretty);
  const all = { 'Content-Type': 'application/json', Vary: 'Accept-Encoding', ...headers };
  if (body.length < gzipMinLength && Buffer.byteLength(body) < gzipMinLength) return c.body(body, status, all);
  if (!takesGzip(c.req.header('Accept-Encoding'))) return c.body(body, status, all);
  return pack(body).then((packed) => c.body(new Uint8Array(packed), status, { ...all, 'Content-Encoding': 'gzip' }));
}

const text = (value: unknown, pretty: boolean) => `${JSON.stringify(value, null, pretty ? 2 : undefined)}\n`;

/** A coding with the quality 0 is one that the caller does not take. */
function takesGzip(accepted: string | undefined): boolean {
  if (accepted === undefined) return false;
  return accepted.split(',').some((each) => {
    const [coding = '', ...parameters] = each.split(';').map((part) => part.trim().toLowerCase());
    return (coding === 'gzip' || coding === '*') && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}
