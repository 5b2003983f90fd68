import { MAX_BUNDLE_BYTES, tooLarge } from './archive.ts';
import { BundleError } from './bundle-error.ts';

export interface DownloadOptions {
  url: string;
  /** The URL as it may be shown. */
  name: string;
  token: string | undefined;
  /** The whole of it, from the connection to the last byte, has so long. */
  timeoutMs: number;
}

export type Downloaded = { changed: false } | { changed: true; bytes: Buffer; etag: string | undefined };

/** Asks a bundle server for what is not `known`, an ETag. Throws `BundleError`. */
export async function download(
  { name, timeoutMs, token, url }: DownloadOptions,
  known: string | undefined,
  ended: AbortSignal,
): Promise<Downloaded> {
  // Not compressed on the way: it is compressed, and what a client unpacks by itself has no bound.
  const headers = new Headers({ 'Accept-Encoding': 'identity' });
  if (token) headers.set('Authorization', `Bearer ${token}`);
  if (known) headers.set('If-None-Match', known);
  const signal = AbortSignal.any([ended, AbortSignal.timeout(timeoutMs)]);
  try {
    const response = await fetch(url, { headers, signal });
    if (response.status === 304 && known) return { changed: false };
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new BundleError('http_status', `${name}: the server answers ${response.status}`, response.status);
    }
    return { changed: true, bytes: await body(response, name), etag: response.headers.get('ETag') ?? undefined };
  } catch (error) {
    if (error instanceof BundleError) throw error;
    throw new BundleError('unreachable', `${name}: ${whyOf(error, timeoutMs)}`);
  }
}

async function body(response: Response, name: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    // Leaving the loop cancels the rest.
    if (length > MAX_BUNDLE_BYTES) throw tooLarge(name);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** fetch says what happened in the cause. */
function whyOf(error: unknown, timeoutMs: number): string {
  const { cause, message, name } = error as Error;
  if (name === 'TimeoutError') return `the server has not answered in whole after ${timeoutMs} ms`;
  return cause instanceof Error ? `${message}: ${cause.message || (cause as NodeJS.ErrnoException).code}` : message;
}
