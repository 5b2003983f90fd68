import type { Sql } from 'postgres';

/** A call that was charged by an estimate and of which nobody has reported what it used; the gateway has logged it. */
export interface Unsettled {
  decision_id: string;
  tenant_id: string;
  /** What the gateway answered with. */
  status: number;
  bytes_in: number;
  bytes_out: number;
}

export interface UnsettledQuery {
  /** Epoch milliseconds of the decision, half-open: after `to` its report has no time left, before `from` it is too late for one. */
  from: number;
  to: number;
  /** `next` of the page before. */
  after: string | undefined;
  limit: number;
}

/** Decisions of one statement: an hour of them is read in about a second where there are 50 in each. */
const SLICE_MS = 3_600_000;

/** By its id, for that is a key: `<decision>:<type>`. All events of one decision carry the same `decided_at`. */
const OUTCOME = `select from usage_events as outcome
  where outcome.id in (reserved.decision_id || ':settled', reserved.decision_id || ':voided')
    and outcome.decided_at = reserved.decided_at`;

/** Materialized, so that the log is asked for the few that are left, and not for all that were settled as well. */
const OPEN = `select decision_id, tenant_id, decided_at from usage_events as reserved
  where type = 'reserved' and id = decision_id || ':reserved'
    and decided_at >= $1::text::timestamptz and decided_at < $2::text::timestamptz
    and (decided_at > $1::text::timestamptz or decision_id collate "C" > $3)
    and not exists (${OUTCOME})`;

/** What two gateways have logged, one behind the other, counts as the first of them has it. */
const LOGGED = `select status, bytes_in, bytes_out from gateway_requests
  where decision_id = open.decision_id and coalesce(tenant_id, open.tenant_id) = open.tenant_id
    and bytes_in is not null and bytes_out is not null
  order by at, id limit 1`;

const UNSETTLED = `
with open as materialized (${OPEN})
select decision_id, open.tenant_id, status, bytes_in, bytes_out,
  (extract(epoch from decided_at) * 1000)::bigint::text as decided_ms
from open cross join lateral (${LOGGED}) as logged
order by decided_at, decision_id collate "C" limit $4`;

/** A page, the oldest first. `next`: where the one after it begins; null where there is none. */
export async function unsettledCalls(
  { after, from, limit, to }: UnsettledQuery,
  sql: Sql,
): Promise<{ data: Unsettled[]; next: string | null }> {
  const data: Unsettled[] = [];
  let place = placeOf(after, from);
  while (place.at < to) {
    const end = Math.min(place.at + SLICE_MS, to);
    const rows = await slice(place, end, limit - data.length, sql);
    data.push(...rows.map(callOf));
    const last = rows.at(-1);
    if (last && data.length === limit) return { data, next: `${last.decided_ms}:${last.decision_id}` };
    place = { at: end, id: '' };
  }
  return { data, next: null };
}

interface Place {
  at: number;
  id: string;
}

function placeOf(after: string | undefined, from: number): Place {
  const [, at = '', id = ''] = /^(\d{1,15}):(.*)$/.exec(after ?? '') ?? [];
  return Number(at) < from ? { at: from, id: '' } : { at: Number(at), id };
}

function slice({ at, id }: Place, end: number, limit: number, sql: Sql) {
  const [from, to] = [at, end].map((instant) => new Date(instant).toISOString());
  return sql.unsafe(UNSETTLED, [from as string, to as string, id, limit], { prepare: true });
}

type Found = Awaited<ReturnType<typeof slice>>[number];

const callOf = ({ bytes_in, bytes_out, decision_id, status, tenant_id }: Found): Unsettled => ({
  decision_id,
  tenant_id,
  status,
  bytes_in: Number(bytes_in),
  bytes_out: Number(bytes_out),
});
