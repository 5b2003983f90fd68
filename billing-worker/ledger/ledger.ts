import { setImmediate } from 'node:timers/promises';
import type { Sql } from 'postgres';
import type { UsageEventType } from '../../schemas/usage-event.ts';
import type { StreamEntry } from '../../schemas/usage-stream.ts';
import { isDataError, reasonOf } from '../database/errors.ts';
import { appendParameters } from './append-parameters.ts';
import { APPEND_SQL } from './append-sql.ts';
import type { LedgerRow, Terms } from './ledger-row.ts';
import { deadLetter, type Pending, type Refused, readEntry, rowsOf } from './pending.ts';

/** Entries that are read, at 10 µs each, before others get their turn on the thread. */
const AT_ONCE = 250;

/** What one transaction added; entries that were there before add nothing. */
export interface Committed {
  events: Partial<Record<UsageEventType | 'audit', number>>;
  deadLetters: number;
  /** Those of `rows` that were not there before. */
  newRows: LedgerRow[];
}

export interface LedgerDeps {
  sql: Sql;
  terms: Terms;
  /** `rows`: what was given; some may have been there before. */
  onCommit: (committed: Committed, rows: LedgerRow[]) => void;
}

/** What is done with an entry that PostgreSQL refuses. */
type OnRefused = (refused: Refused) => Promise<void> | void;

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
  async append(entries: StreamEntry[]): Promise<void> {
    const pending: Pending[] = [];
    for (let i = 0; i < entries.length; i += AT_ONCE) {
      if (i) await setImmediate();
      for (const entry of entries.slice(i, i + AT_ONCE)) pending.push(readEntry(entry, this.#deps.terms));
    }
    await this.#store(pending, (refused) => this.#putAside(refused));
  }

  /** Reads dead letters once more. Resolves with those that still cannot become a row; the others are committed. */
  async replay(entries: StreamEntry[]): Promise<Refused[]> {
    const pending = entries.map((entry) => readEntry(entry, this.#deps.terms));
    const refused = pending.filter((one) => 'reason' in one);
    const readable = pending.filter((one) => !('reason' in one));
    await this.#store(readable, (one) => void refused.push(one));
    return refused;
  }

  /** One entry that PostgreSQL refuses fails the transaction of all: halved until it is alone, it is handed to `onRefused`. */
  async #store(pending: Pending[], onRefused: OnRefused): Promise<void> {
    const [only, ...others] = pending;
    if (!only) return;
    try {
      await this.#commit(pending);
    } catch (error) {
      if (!isDataError(error)) throw error;
      if (others.length === 0) return onRefused({ entry: only.entry, reason: reasonOf(error) });
      const half = Math.ceil(pending.length / 2);
      await this.#store(pending.slice(0, half), onRefused);
      await this.#store(pending.slice(half), onRefused);
    }
  }

  #putAside(refused: Refused): Promise<void> {
    return this.#store([refused], ({ reason }) => {
      throw new Error(`a dead letter cannot be kept: ${reason}`);
    });
  }

  async #commit(pending: Pending[]): Promise<void> {
    const rows = rowsOf(pending);
    const letters = pending.flatMap((one) => ('reason' in one ? [deadLetter(one)] : []));
    const audited = pending.flatMap((one) => ('audit' in one ? [one] : []));
    const audit = audited.map((one) => one.audit);
    const keys = audited.flatMap((one) => one.keys);
    const others = [letters, audit, keys].map((each) => JSON.stringify(each));
    const parameters = [...appendParameters(rows), ...others, String(rows.length)];
    const [done] = await this.#deps.sql.unsafe(APPEND_SQL, parameters, { prepare: true });
    const newRows = done?.new_ids === null ? rows : rowsWith(JSON.parse(done?.new_ids), rows);
    this.#deps.onCommit({ events: JSON.parse(done?.events), deadLetters: done?.dead_letters, newRows }, rows);
  }
}

/** An event that was delivered twice at once has two rows here, and one in the ledger. */
function rowsWith(ids: string[], rows: LedgerRow[]): LedgerRow[] {
  const wanted = new Set(ids);
  return rows.filter(({ id }) => wanted.delete(id));
}
