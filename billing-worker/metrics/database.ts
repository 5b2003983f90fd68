import type { Sql } from 'postgres';
import type { Registry } from 'prom-client';
import { gaugeOf, oncePerScrape } from '../../runtime/metrics/observed.ts';

const TIMEOUT_MS = 2_000;

interface Found {
  up: number;
  deadLetters: number;
}

const AWAY: Found = { up: 0, deadLetters: Number.NaN };

/** Counted up to a bound: that there are any is what matters. */
const WAITING_SQL =
  'select count(*)::int as waiting from (select from dead_letters where replayed_at is null limit 10000) as letters';

/** Whether the database answers within two seconds, and what is in it that somebody has to see to; asked once at each scrape. */
export function observeDatabase(registry: Registry, sql: Sql): void {
  const found = oncePerScrape(() => Promise.race([look(sql), late()]));
  gaugeOf(registry, 'openclaw_database_up', '1 while the database answers.', async () => (await found()).up);
  gaugeOf(
    registry,
    'openclaw_dead_letters_waiting',
    'Stream entries that could not become a ledger row, and were not replayed since.',
    async () => (await found()).deadLetters,
  );
}

async function look(sql: Sql): Promise<Found> {
  try {
    const [row] = await sql.unsafe(WAITING_SQL, [], { prepare: true });
    return { up: 1, deadLetters: row?.waiting };
  } catch {
    return AWAY;
  }
}

const late = () =>
  new Promise<Found>((resolve) => {
    setTimeout(() => resolve(AWAY), TIMEOUT_MS).unref();
  });
