import { createHash } from 'node:crypto';
import type { Sql } from 'postgres';
import type { UsageEventType } from '../../schemas/usage-event.ts';
import type { StreamEntry } from '../../schemas/usage-stream.ts';
import { isDataError, reasonOf } from '../database/errors.ts';
import { type KeyRow, keyRow } from '../keys/key-row.ts';
import { APPEND_SQL } from './append-sql.ts';
import { type AuditRow, auditRow } from './audit-row.ts';
import { type LedgerRow, ledgerRow, type Terms } from './ledger-row.ts';
import { parseEntry } from './parse-entry.ts';

/** What one transaction added; entries that were there before add nothing. */
export interface Committed {
  events: Partial<Record<UsageEventType | 'audit', number>>;
  deadLetters: number;
}

/**
 * A stream entry on its way into the database: as a ledger row, as an audit event with the keys that it changed, or as a
 * dead letter with the reason.
 */
type Pending = { entry: StreamEntry } & ({ row: LedgerRow } | { audit: AuditRow; keys: KeyRow[] } | { reason: string });

export interface LedgerDeps {
  sql: Sql;
  terms: Terms;
  /** `rows`: what was given; some may have been there before. */
  onCommit: (committed: Committed, rows: LedgerRow[]) => void;
}

/**
 * Writes stream entries into the ledger, its rollups and the audit, each once, however often it is delivered. An entry that
 * cannot become a row becomes a dead letter.
 */
export class Ledger {
  readonly #deps: LedgerDeps;

  constructor(deps: LedgerDeps) {
    this.#deps = deps;
  }

  /** Resolves when all of it is committed. Throws if the database is away: any part may be committed; call again. */
  append(entries: StreamEntry[]): Promise<void> {
    return this.#store(entries.map((entry) => this.#read(entry)));
  }

  #read(entry: StreamEntry): Pending {
    const parsed = parseEntry(entry.event);
    if (parsed.kind === 'unreadable') return { entry, reason: parsed.reason };
    if (parsed.kind === 'usage') return { entry, row: ledgerRow(parsed.event, entry.id, this.#deps.terms) };
    const { event } = parsed;
    return { entry, audit: auditRow(event, entry.id), keys: (event.api_keys ?? []).map(keyRow) };
  }

  /** One entry that PostgreSQL refuses fails the transaction of all: halved until it is alone, it is put aside. */
  async #store(pending: Pending[]): Promise<void> {
    try {
      const committed = await this.#commit(pending);
      this.#deps.onCommit(committed, rowsOf(pending));
    } catch (error) {
      if (!isDataError(error)) throw error;
      const [only, ...others] = pending;
      if (!only) return;
      if (others.length === 0) {
        if ('reason' in only) throw error;
        return this.#store([{ entry: only.entry, reason: reasonOf(error) }]);
      }
      const half = Math.ceil(pending.length / 2);
      await this.#store(pending.slice(0, half));
      await this.#store(pending.slice(half));
    }
  }

  async #commit(pending: Pending[]): Promise<Committed> {
    const rows = rowsOf(pending);
    const letters = pending.flatMap((one) => ('reason' in one ? [this.#deadLetter(one)] : []));
    const audited = pending.flatMap((one) => ('audit' in one ? [one] : []));
    const audit = audited.map((one) => one.audit);
    const keys = audited.flatMap((one) => one.keys);
    const parameters = [recordset(rows), ...[letters, audit, keys].map((each) => JSON.stringify(each))];
    const [done] = await this.#deps.sql.unsafe(APPEND_SQL, parameters, { prepare: true });
    return { events: JSON.parse(done?.events), deadLetters: done?.dead_letters };
  }

  #deadLetter({ entry, reason }: { entry: StreamEntry; reason: string }) {
    const raw = entry.event?.replaceAll('\u0000', '\\u0000') ?? null;
    const digest = createHash('sha256')
      .update(raw ?? '')
      .digest('hex');
    return { stream: entry.stream, stream_id: entry.id, raw, digest, reason };
  }
}

/** JSON knows no BigInt; PostgreSQL reads a number in quotes as exactly. */
const recordset = (rows: LedgerRow[]) => JSON.stringify(rows.map((row) => ({ ...row, tokens: String(row.tokens) })));

const rowsOf = (pending: Pending[]): LedgerRow[] => pending.flatMap((one) => ('row' in one ? [one.row] : []));
