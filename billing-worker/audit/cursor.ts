/** Where a page of the timeline ends: the instant and the id of its last row. */
export interface Cursor {
  /** Epoch milliseconds. */
  at: number;
  id: string;
}

/** Of a page to come; opaque to whoever gets it. */
export const writeCursor = ({ at, id }: Cursor): string => Buffer.from(`${at}:${id}`).toString('base64url');

/** The last instant that has an RFC 3339 form. */
const LAST = Date.UTC(10_000, 0) - 1;

/** Undefined: `writeCursor` has not written this. */
export function readCursor(text: string): Cursor | undefined {
  const [, at, id] = /^(\d{1,15}):(.+)$/s.exec(Buffer.from(text, 'base64url').toString()) ?? [];
  if (at === undefined || id === undefined || id.includes('\u0000') || Number(at) > LAST) return undefined;
  const cursor = { at: Number(at), id };
  return writeCursor(cursor) === text ? cursor : undefined;
}
