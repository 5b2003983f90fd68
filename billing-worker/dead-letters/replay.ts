import type { Sql } from 'postgres';
import type { StreamEntry } from '../../schemas/usage-stream.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { parseEntry } from '../ledger/parse-entry.ts';

/** Letters of one call at most: their texts are held in memory. */
export const MOST_LETTERS = 1_000;

export interface ReplayRequest {
  /** Which ones; undefined for all that were not replayed, from `after` on. */
  ids?: string[] | undefined;
  after?: string | undefined;
  /** Reads them, and changes nothing. What PostgreSQL alone would refuse counts as readable then. */
  dryRun: boolean;
}

export interface ReplayReport {
  dry_run: boolean;
  /** Ids of letters whose events are in the ledger now; in a dry run, of those that could be read. */
  replayed: string[];
  /** Those that still cannot become a row, and why. */
  refused: { id: string; reason: string }[];
  /** Of the given ids: those that were replayed before, and those that there are no letters of. */
  replayed_before: string[];
  unknown: string[];
  /** The `after` with which to go on; null: there are no more. */
  next: string | null;
}

interface Letter extends StreamEntry {
  letter: string;
  replayed: boolean;
}

export interface ReplayDeps {
  sql: Sql;
  ledger: Pick<Ledger, 'replay'>;
}

/**
 * Reads dead letters by the rules of today. What can be read becomes a ledger row first and is marked then, so whoever dies
 * between the two, or does it beside another, changes no sum: the ledger knows its events.
 */
export async function replayDeadLetters(request: ReplayRequest, { ledger, sql }: ReplayDeps): Promise<ReplayReport> {
  const { dryRun, ids } = request;
  const found = await readLetters(request, sql);
  const letters = found.slice(0, MOST_LETTERS);
  const waiting = letters.filter(({ replayed }) => !replayed);
  const refused = dryRun ? unreadable(waiting) : await ledger.replay(waiting);
  const reasons = new Map(refused.map(({ entry, reason }) => [(entry as Letter).letter, reason]));
  if (!dryRun) await mark(waiting, reasons, sql);
  const known = new Set(letters.map(({ letter }) => letter));
  return {
    dry_run: dryRun,
    replayed: waiting.map(({ letter }) => letter).filter((letter) => !reasons.has(letter)),
    refused: [...reasons].map(([id, reason]) => ({ id, reason })),
    replayed_before: letters.filter(({ replayed }) => replayed).map(({ letter }) => letter),
    unknown: ids?.filter((id) => !known.has(id)) ?? [],
    next: found.length > MOST_LETTERS ? (letters.at(-1)?.letter ?? null) : null,
  };
}

const READ = `
select id::text as letter, stream, stream_id, raw, replayed_at is not null as replayed from dead_letters
where case when $1::text is null then replayed_at is null and id > $2::bigint
  else id in (select json_array_elements_text($1::json)::bigint) end
order by dead_letters.id limit ${MOST_LETTERS + 1}`;

async function readLetters({ after, ids }: ReplayRequest, sql: Sql): Promise<Letter[]> {
  const found = await sql.unsafe(READ, [ids ? JSON.stringify(ids) : null, after ?? '0'], { prepare: true });
  return found.map(({ letter, raw, replayed, stream, stream_id }) => ({
    letter,
    replayed,
    stream,
    id: stream_id,
    event: raw ?? undefined,
    redelivered: 0,
  }));
}

const unreadable = (letters: Letter[]) =>
  letters.flatMap((entry) => {
    const parsed = parseEntry(entry.event);
    return parsed.kind === 'unreadable' ? [{ entry, reason: parsed.reason }] : [];
  });

/** Locked in the order of their ids, so that two that do it wait for each other in one direction. */
const MARK = `
with outcome as (
  select id, reason from json_to_recordset($1::text::json) as outcome (id bigint, reason text)
), locked as (
  select id from dead_letters where id in (select id from outcome) and replayed_at is null order by id for update
)
update dead_letters as letter
set replayed_at = case when outcome.reason is null then now() end, reason = coalesce(outcome.reason, letter.reason)
from outcome join locked using (id) where letter.id = outcome.id`;

async function mark(letters: Letter[], reasons: Map<string, string>, sql: Sql): Promise<void> {
  const outcome = letters.map(({ letter }) => ({ id: letter, reason: reasons.get(letter) ?? null }));
  if (outcome.length) await sql.unsafe(MARK, [JSON.stringify(outcome)], { prepare: true });
}
