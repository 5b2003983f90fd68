import { createHash } from 'node:crypto';
import type { StreamEntry } from '../../schemas/usage-stream.ts';
import { type KeyRow, keyRow } from '../keys/key-row.ts';
import { type AuditRow, auditRow } from './audit-row.ts';
import { type LedgerRow, ledgerRow, type Terms } from './ledger-row.ts';
import { parseEntry } from './parse-entry.ts';

/** A stream entry that cannot become a row, with the reason for a person. */
export interface Refused {
  entry: StreamEntry;
  reason: string;
}

/**
 * A stream entry on its way into the database: as a ledger row, as an audit event with the keys that it changed, or as a
 * dead letter.
 */
export type Pending =
  | Refused
  | { entry: StreamEntry; row: LedgerRow }
  | { entry: StreamEntry; audit: AuditRow; keys: KeyRow[] };

export function readEntry(entry: StreamEntry, terms: Terms): Pending {
  const parsed = parseEntry(entry.event);
  if (parsed.kind === 'unreadable') return { entry, reason: parsed.reason };
  if (parsed.kind === 'usage') return { entry, row: ledgerRow(parsed.event, entry.id, terms) };
  const { event } = parsed;
  return { entry, audit: auditRow(event, entry.id), keys: (event.api_keys ?? []).map(keyRow) };
}

/** The row of `dead_letters`. */
export function deadLetter({ entry, reason }: Refused) {
  const raw = entry.event?.replaceAll('\u0000', '\\u0000') ?? null;
  const digest = createHash('sha256')
    .update(raw ?? '')
    .digest('hex');
  return { stream: entry.stream, stream_id: entry.id, raw, digest, reason };
}

/** In the order of their keys. */
export const rowsOf = (pending: Pending[]): LedgerRow[] =>
  pending.flatMap((one) => ('row' in one ? [one.row] : [])).sort(byKey);

/** By UTF-16 units, as it is quickest: any order will do that is the same for all workers. */
const byKey = (a: LedgerRow, b: LedgerRow) =>
  a.id === b.id ? a.decided_at.getTime() - b.decided_at.getTime() : a.id < b.id ? -1 : 1;
