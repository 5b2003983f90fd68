import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Context } from 'hono';
import { parseJson } from './json.ts';
import { Refusal } from './refusal.ts';
import { brokenOff } from './whole-body.ts';

export interface BodyLimit {
  /** Of the body as it comes, and once more of what it unpacks to. */
  maxBytes: number;
  /** OPA's status on OPA's routes, 413 on ours. */
  status: 400 | 413;
}

/** The body as JSON; undefined if it is empty. Throws a `Refusal` for what is not, and as `readText`. */
export async function readJson(c: Context, limit: BodyLimit): Promise<unknown> {
  return parseJson(await readText(c, limit), 'body');
}

const unpack = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip);

/** The body as text, unpacked. Throws a `Refusal` for one that is too long or not gzip although it says so. */
export async function readText(c: Context, limit: BodyLimit): Promise<string> {
  const encoding = c.req.header('Content-Encoding');
  const bytes = await readBytes(c, limit);
  // Bytes, not `text()`: that drops a byte order mark, which is no JSON.
  if (encoding === undefined || encoding === '' || encoding === 'identity') return bytes.toString('utf8');
  if (!/^(x-)?gzip$/i.test(encoding)) {
    throw new Refusal(
      400,
      'invalid_parameter',
      `Content-Encoding must be gzip or none, not ${JSON.stringify(encoding)}`,
    );
  }
  try {
    return (await unpack(bytes, { maxOutputLength: limit.maxBytes })).toString('utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limit, 'unpacked it is');
    throw new Refusal(400, 'invalid_parameter', `could not decompress the body: gzip: ${message}`);
  }
}

/**
 * A declared length is refused before a byte is read, and Node holds the sender to it; without one, the bytes are counted.
 * Not with Hono's `bodyLimit`: it opens a web stream for every request, which costs more than the rest of reading it.
 */
async function readBytes(c: Context, limit: BodyLimit): Promise<Buffer> {
  const length = c.req.header('Content-Length');
  if (length !== undefined && c.req.header('Transfer-Encoding') === undefined) {
    if (!(Number(length) <= limit.maxBytes)) throw tooLarge(limit, 'it is');
    return Buffer.from(
      await c.req.raw.arrayBuffer().catch(() => {
        throw brokenOff();
      }),
    );
  }
  return readChunks(c.req.raw, limit);
}

async function readChunks(request: Request, limit: BodyLimit): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    // A host that makes no URL is found out here, when the stream is opened.
    for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength;
      if (size > limit.maxBytes) throw tooLarge(limit, 'it is');
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof Refusal ? error : brokenOff();
  }
  return Buffer.concat(chunks);
}

const tooLarge = ({ maxBytes, status }: BodyLimit, what: string) =>
  new Refusal(
    status,
    'invalid_parameter',
    `request body too large: ${what} longer than ${maxBytes} bytes (MAX_BODY_BYTES)`,
  );
