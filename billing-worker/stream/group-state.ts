import { GROUP, type GroupState } from './stream-commands.ts';

/** Of what `XINFO GROUPS` lists. */
interface GroupInfo {
  name: string;
  'last-delivered-id': string;
}

/** Of what `XPENDING` sums up. */
interface PendingSummary {
  pending: number;
  firstId: string | null;
}

/** The state of the ledger's group, undefined if there is none. */
export function groupState(groups: GroupInfo[], { firstId, pending }: PendingSummary): GroupState | undefined {
  const group = groups.find(({ name }) => name === GROUP);
  if (!group) return undefined;
  return {
    lastDelivered: group['last-delivered-id'],
    pending,
    firstPending: firstId ?? undefined,
  };
}
