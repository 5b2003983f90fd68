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
  const all = { ...DATA_HEADERS, ...headers };
  const packed = packedBody(body, gzipMinLength, c.req.header('Accept-Encoding'));
  return packed
    ? packed.then((bytes) => c.body(new Uint8Array(bytes), status, { ...all, ...GZIP }))
    : c.body(body, status, all);
}

export const DATA_HEADERS = { 'Content-Type': 'application/json', Vary: 'Accept-Encoding' };

export const GZIP = { 'Content-Encoding': 'gzip' };

/** Undefined for a body that is sent as it is. `accepted`: the header `Accept-Encoding`. */
export function packedBody(body: string, minLength: number, accepted: string | undefined): Promise<Buffer> | undefined {
  if (body.length < minLength && Buffer.byteLength(body) < minLength) return undefined;
  return takesGzip(accepted) ? pack(body) : undefined;
}

/** JSON as OPA writes it. */
export const text = (value: unknown, pretty = false) => `${JSON.stringify(value, null, pretty ? 2 : undefined)}\n`;

/** A coding with the quality 0 is one that the caller does not take. */
function takesGzip(accepted: string | undefined): boolean {
  if (accepted === undefined) return false;
  return accepted.split(',').some((each) => {
    const [coding = '', ...parameters] = each.split(';').map((part) => part.trim().toLowerCase());
    return (coding === 'gzip' || coding === '*') && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}
