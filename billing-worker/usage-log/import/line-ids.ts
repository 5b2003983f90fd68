import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';

/** Equal lines tell the same time, so that no more than these lie between them. */
const REMEMBERED = 100_000;

/**
 * Ids of lines whose gateway gives none: the digest of the line, and how many lines equal to it the file had before. So the
 * same file has the same ids whenever it is read from its beginning, and two requests that are logged alike are two.
 */
export class LineIds {
  readonly #seen = new LRUCache<string, number>({ max: REMEMBERED });

  of(line: Buffer): string {
    const digest = createHash('sha256').update(line).digest('hex');
    const before = this.#seen.get(digest) ?? 0;
    this.#seen.set(digest, before + 1);
    return `line:${digest}:${before}`;
  }
}
