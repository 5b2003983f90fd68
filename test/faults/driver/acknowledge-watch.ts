import type { Sql } from 'postgres';
import type { FaultProxy } from '../../helpers/tcp-proxy.ts';
import type { StreamShadow } from './stream-shadow.ts';

/**
 * Stands between the workers and Redis, and looks at each acknowledgement before Redis hears of it: what is acknowledged must
 * be committed, as a ledger row, an audit event or a dead letter.
 */
export class AcknowledgeWatch {
  /** Entries whose acknowledgement was checked. */
  checked = 0;
  /** Ids of entries that were acknowledged and not committed. */
  readonly early: string[] = [];
  readonly #shadow: StreamShadow;
  readonly #sql: Sql;

  constructor(proxy: FaultProxy, shadow: StreamShadow, sql: Sql) {
    this.#shadow = shadow;
    this.#sql = sql;
    proxy.watchCommand('XACK', async ([, , , ...streamIds]) => this.#look(streamIds).catch(() => undefined));
  }

  /** A database that does not answer leaves them unchecked. */
  async #look(streamIds: string[]): Promise<void> {
    const entries = await this.#shadow.entriesOf(streamIds);
    // A copy of an event may be put aside although the event is not: either is committed.
    const names = entries.flatMap(({ eventId, streamId }) =>
      eventId === undefined ? [streamId] : [eventId, streamId],
    );
    const committed = await this.#committed(names);
    this.checked += entries.length;
    for (const { eventId, streamId } of entries) {
      if (!committed.has(eventId ?? '') && !committed.has(streamId)) this.early.push(`${streamId} (${eventId})`);
    }
  }

  async #committed(names: string[]): Promise<Set<string>> {
    const rows = await this.#sql`
      select id from usage_events where id = any(${names})
      union all select id from audit_events where id = any(${names})
      union all select stream_id from dead_letters where stream_id = any(${names})`;
    return new Set(rows.map(({ id }) => id as string));
  }
}
