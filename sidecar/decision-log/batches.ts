import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const compress = promisify<Buffer, Buffer>(gzip);

/** One upload: a gzipped JSON array of events. */
export interface Batch {
  body: Buffer;
  /** What is in it. */
  events: readonly string[];
}

/**
 * Uploads of at most `maxBytes` each, compressed, as OPA bounds them. An event that alone is longer cannot be uploaded:
 * it is told by `tooLarge`, and left out.
 */
export async function batches(events: readonly string[], maxBytes: number, tooLarge: () => void): Promise<Batch[]> {
  if (events.length === 0) return [];
  const body = await compress(Buffer.from(`[${events.join(',')}]`));
  if (body.length <= maxBytes) return [{ body, events }];
  if (events.length === 1) {
    tooLarge();
    return [];
  }
  const half = events.length >> 1;
  const first = await batches(events.slice(0, half), maxBytes, tooLarge);
  return [...first, ...(await batches(events.slice(half), maxBytes, tooLarge))];
}
