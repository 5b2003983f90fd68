import postgres, { type Options, type Sql } from 'postgres';
import type { Log } from '../../runtime/log.ts';

/** Connections of one process to a server: some ingest, the others answer `/v1/usage`. */
const POOL_SIZE = 6;
/** A batch takes under a second; what waits longer is held up by a lock, and is rolled back and tried again. */
const STATEMENT_TIMEOUT_MS = 30_000;

export interface ConnectOptions {
  log: Log;
  max?: number;
  statementTimeoutMs?: number;
  /** Seconds after which a connection that nobody uses is closed; by default it stays. */
  idleS?: number;
}

/** A pool on a server. Connects at the first query, and again after a loss at the next. */
export function connectServer(
  url: string,
  { idleS, log, max = POOL_SIZE, statementTimeoutMs = STATEMENT_TIMEOUT_MS }: ConnectOptions,
): Sql {
  return postgres(url, {
    ...common(log),
    max,
    ...(idleS !== undefined && { idle_timeout: idleS }),
    connection: { application_name: 'billing-worker', TimeZone: 'UTC', statement_timeout: statementTimeoutMs },
  });
}

/** The embedded PostgreSQL has one session, so there is one connection, and queries take turns on it. */
export function connectSocket(path: string, log: Log): Sql {
  return postgres({ ...common(log), path, max: 1, username: 'postgres', database: 'postgres' });
}

const common = (log: Log): Options<Record<string, never>> => ({
  connect_timeout: 10,
  // Asked at each connect for the types of arrays, which nothing here sends. A connection that breaks meanwhile is an
  // unhandled rejection in postgres 3.4.9, and ends the process.
  fetch_types: false,
  // Who calls waits between tries, and longer each time; the pool's own wait, of up to 20 s, would come on top.
  backoff: () => 0.1,
  onnotice: (notice) => log.debug({ notice: notice.message }, 'PostgreSQL'),
});
