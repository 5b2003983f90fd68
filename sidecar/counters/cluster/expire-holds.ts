import type { Partition } from '../redis/partition.ts';
import { GIVEN_BACK } from './shared-take.ts';

/**
 * Works off the charges at an account that nobody settled in time. Where the tenant's partition knows of one, it stands,
 * like any estimate; else it was taken for a decision that never came to be, and is given back. Resolves with how many
 * records the account has.
 */
export async function expireHolds(
  account: Partition,
  limit: number,
  partitionOf: (decisionId: string) => Partition | undefined,
): Promise<number> {
  const { due, records } = await account.due(limit);
  const standing: string[] = [];
  for (const recordKey of due) {
    const held = await account.stored(recordKey);
    const id = held?.about.id;
    if (id === undefined || (await isKnown(id, partitionOf))) standing.push(recordKey);
    else await account.settle({ decisionId: id, kind: 'void', actual: {}, fingerprint: GIVEN_BACK });
  }
  await account.expire(standing);
  return records;
}

async function isKnown(heldId: string, partitionOf: (decisionId: string) => Partition | undefined): Promise<boolean> {
  const decisionId = heldId.slice(0, heldId.lastIndexOf('/'));
  const shared = await partitionOf(decisionId)?.sharedOf(decisionId);
  return shared?.id === heldId;
}
