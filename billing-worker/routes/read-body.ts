import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

/** Of a body as it comes, and once more of what it unpacks to. */
const MAX_BODY_BYTES = 8 * 1_024 * 1_024;

const unpack = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip);

export type Body = { text: string } | { status: 400 | 413; wrong: string };

const TOO_LARGE = { status: 413, wrong: `the body must have ${MAX_BODY_BYTES} bytes at most, also unpacked` } as const;

/** A request's body as text, unpacked if its `Content-Encoding` says that it is gzip. No more is held than the limit. */
export async function readBody(request: Request): Promise<Body> {
  const encoding = (request.headers.get('Content-Encoding') ?? 'identity').toLowerCase();
  if (encoding !== 'gzip' && encoding !== 'identity') {
    return { status: 400, wrong: 'Content-Encoding must be gzip, or be left out' };
  }
  const bytes = await readBytes(request).catch(() => 'broken' as const);
  if (bytes === 'broken') return { status: 400, wrong: 'the body did not come in whole' };
  if (!bytes) return TOO_LARGE;
  if (encoding === 'identity') return { text: bytes.toString('utf8') };
  try {
    return { text: (await unpack(bytes, { maxOutputLength: MAX_BODY_BYTES })).toString('utf8') };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return TOO_LARGE;
    return { status: 400, wrong: 'the body is no gzip, although its Content-Encoding says so' };
  }
}

async function readBytes(request: Request): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
