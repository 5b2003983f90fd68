import { type ApiKey, partitionOfKey } from '../../schemas/api-key.ts';
import type { apiKeys } from '../../schemas/tables.ts';

/** A key's state before the database adds when it wrote it. */
export type KeyRow = Omit<typeof apiKeys.$inferInsert, 'updated_at'>;

/** How the state of a key, whose id the schema has checked, is kept in the ledger. */
export const keyRow = ({ created_at, expires_at, revoked_at, v: _, ...same }: ApiKey): KeyRow => ({
  ...same,
  partition: partitionOfKey(same.id) as number,
  created_at: new Date(created_at),
  expires_at: optionalDate(expires_at),
  revoked_at: optionalDate(revoked_at),
});

const optionalDate = (instant: number | undefined) => (instant === undefined ? undefined : new Date(instant));
