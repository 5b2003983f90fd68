import type { Sql } from 'postgres';
import type { UsageEvent } from '../../../../schemas/usage-event.ts';
import { counterField, partitionKeys } from '../../../../sidecar/counters/keys.ts';
import type { PatientRedis } from '../patient-redis.ts';
import type { StreamShadow } from '../stream-shadow.ts';

/** A row of the ledger, as far as the invariants speak of it. */
export interface Row
  extends Pick<
    UsageEvent,
    'id' | 'type' | 'decision_id' | 'request_id' | 'tenant_id' | 'user_id' | 'limits' | 'policy_revision'
  > {
  at: number;
  tokens: bigint;
  streamId: string;
}

/** The ledger rows of all tenants whose names begin so, in the order in which their events happened. */
export async function ledgerOf(prefix: string, sql: Sql, shadow: StreamShadow): Promise<Row[]> {
  const rows = await sql`
    select id, type, decision_id, request_id, tenant_id, user_id, limits, policy_revision, tokens::text as tokens, stream_id,
      (extract(epoch from at) * 1000)::bigint::text as at
    from usage_events where starts_with(tenant_id, ${prefix})`;
  return rows
    .map(({ at, stream_id, tokens, ...row }) => ({
      ...(row as unknown as Row),
      at: Number(at),
      tokens: BigInt(tokens),
      // Of an event that was delivered twice either entry may have become the row.
      streamId: shadow.firstId(row.id) ?? stream_id,
    }))
    .toSorted(inOrder);
}

const partsOf = (streamId: string) => streamId.split('-').map(Number);

function inOrder(a: Row, b: Row): number {
  const [[aMs = 0, aSeq = 0], [bMs = 0, bSeq = 0]] = [partsOf(a.streamId), partsOf(b.streamId)];
  return aMs - bMs || aSeq - bSeq;
}

/** Names one counter: whose it is, and its limit. */
export const counterOf = ({ tenant_id, user_id }: Row, { id, kind }: Row['limits'][number]): string =>
  JSON.stringify([
    tenant_id,
    id === 'user:month' ? { type: 'user', id: user_id ?? '' } : { type: 'tenant', id: tenant_id },
    id,
    kind,
  ]);

/** What Redis has in use of a counter; none kept is nothing used. */
export async function usedInRedis(counter: string, redis: PatientRedis): Promise<bigint> {
  const [tenant, subject, id, kind] = JSON.parse(counter);
  const key = partitionKeys(0).subject(tenant, { scope: 'tenant', subject });
  const stored = await redis.ask<string | null>('HGET', key, counterField({ id, kind }));
  return BigInt(stored?.split(':')[0] ?? '0');
}
