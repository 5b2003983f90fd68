import type { SettleRequest, SettleResult } from '../contract.ts';
import { inOrder } from '../redis/decode.ts';
import type { Partition } from '../redis/partition.ts';

export interface Parts {
  /** The tenant's partition. */
  own: Partition;
  account(name: string): Partition;
}

/**
 * Settles or voids a decision. What it was charged at a provider account is moved first: whoever is first there decides
 * which of two different reports counts, and its changes go into the event of the tenant's partition. A process that ends
 * in between leaves a report that can be repeated.
 */
export async function settleShared({ account, own }: Parts, request: SettleRequest): Promise<SettleResult> {
  const { decisionId, receipt, tenantId, ...report } = request;
  const shared = await own.sharedOf(decisionId, tenantId);
  if (!shared) {
    const { events: _, ...result } = await own.settle(request);
    return result;
  }
  const atAccount = await account(shared.account).settle({ ...report, decisionId: shared.id });
  if (atAccount.kind === 'conflict') return { kind: 'conflict', state: atAccount.state };
  const { events: _, ...result } = await own.settle(request, atAccount.events);
  if (result.kind === 'unknown' || result.kind === 'conflict' || atAccount.kind === 'unknown') return result;
  return { ...result, changes: inOrder([...atAccount.changes, ...result.changes], shared.order) };
}
