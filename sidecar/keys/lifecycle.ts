import type { ApiKey } from '../../schemas/api-key.ts';
import { API_KEY_VERSION, gateOfKey } from '../../schemas/api-key.ts';
import type { ApiKeyChange } from '../counters/api-keys.ts';
import { digestOfKey, newKey, newKeyId } from './key-text.ts';

/** For whom a key is to be: a tenant, or one of its teams or users. */
export interface Holder {
  tenantId: string;
  teamId?: string | undefined;
  userId?: string | undefined;
}

/** Of a key that cannot be changed like this: a value for the caller. */
export class KeyConflict extends Error {
  override readonly name = 'KeyConflict';
}

export type KeyState = 'active' | 'ending' | 'expired' | 'revoked';

/** `ending`: another one has taken its place, and its grace is not over. */
export function stateOf({ expires_at, revoked_at, rotated_to }: ApiKey, now: number): KeyState {
  if (revoked_at !== undefined) return 'revoked';
  if (expires_at !== undefined && expires_at <= now) return 'expired';
  return rotated_to === undefined ? 'active' : 'ending';
}

export interface Issue extends Holder {
  partition: number;
  name?: string | undefined;
  expiresAt?: number | undefined;
  by: string;
}

/** `secret` is the key itself: it is in nothing else. */
export interface Issued {
  key: ApiKey;
  secret: string;
}

export function issue({ by, expiresAt, name, partition, teamId, tenantId, userId }: Issue, now: number): Issued {
  const id = newKeyId(partition);
  const secret = newKey(id);
  const key: ApiKey = {
    v: API_KEY_VERSION,
    id,
    revision: 1,
    digest: digestOfKey(secret),
    ...(name !== undefined && { name }),
    tenant_id: tenantId,
    ...(teamId !== undefined && { team_id: teamId }),
    ...(userId !== undefined && { user_id: userId }),
    created_at: now,
    created_by: by,
    ...(expiresAt !== undefined && { expires_at: expiresAt }),
  };
  return { key, secret };
}

type Changed = Pick<ApiKeyChange, 'keys' | 'closeGates'>;

/**
 * Another key in the place of this one, which goes on for `graceMs`: until then two are live, and never three. Without grace the old
 * one is revoked. Throws `KeyConflict`.
 */
export function rotate(
  { of, predecessor }: { of: ApiKey; predecessor: ApiKey | undefined },
  { by, expiresAt, graceMs }: { by: string; expiresAt: number | undefined; graceMs: number },
  now: number,
): Issued & Changed {
  const state = stateOf(of, now);
  if (state === 'ending') throw new KeyConflict(`${of.rotated_to} has taken its place already: rotate that one`);
  if (state !== 'active') throw new KeyConflict(`it is ${state}: issue another one`);
  if (predecessor && stateOf(predecessor, now) === 'ending') {
    throw new KeyConflict(
      `${predecessor.id}, whose place it took, is still live: revoke that one, or wait for its end`,
    );
  }
  const { name, team_id: teamId, tenant_id: tenantId, user_id: userId } = of;
  const partition = Number.parseInt(of.id.slice(1), 10);
  const holder = { name, partition, teamId, tenantId, userId };
  const next = issue({ ...holder, by, expiresAt: expiresAt ?? sameLifeAs(of, now) }, now);
  const key = { ...next.key, rotated_from: of.id };
  const old = { ...of, revision: of.revision + 1, rotated_to: key.id };
  if (graceMs === 0) {
    return { key, secret: next.secret, keys: [{ ...old, revoked_at: now }, key], closeGates: [gateOfKey(of.id)] };
  }
  const ends = Math.min(of.expires_at ?? Number.POSITIVE_INFINITY, now + graceMs);
  return { key, secret: next.secret, keys: [{ ...old, expires_at: ends }, key], closeGates: [] };
}

/** What was to end after 90 days is followed by what ends after 90 days. */
const sameLifeAs = ({ created_at, expires_at }: ApiKey, now: number): number | undefined =>
  expires_at === undefined ? undefined : now + expires_at - created_at;

/** One that is revoked already stays as it is: undefined. */
export function revoke(key: ApiKey, now: number): Changed | undefined {
  if (key.revoked_at !== undefined) return undefined;
  return { keys: [{ ...key, revision: key.revision + 1, revoked_at: now }], closeGates: [gateOfKey(key.id)] };
}
