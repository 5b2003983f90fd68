import { USAGE_EVENT_VERSION, type UsageEvent } from '../../../schemas/usage-event.ts';
import {
  type BudgetGrant,
  BudgetGrantExpired,
  type BudgetGrants,
  BudgetGrantsFull,
  checkBudgetGrant,
  type LiveBudgetGrant,
  oldestFirst,
  REVOKED_TTL_MS,
} from '../budget-grant.ts';
import { budgetGrantField, type PartitionKeys } from '../keys.ts';
import type { Connection } from './connection.ts';
import { members, opened } from './encode.ts';
import type { Scripts } from './scripts.ts';

export interface BudgetGrantCallsDeps {
  /** To the server that holds these keys. */
  connection: Connection;
  keys: Pick<PartitionKeys, 'stream' | 'budgetGrants'>;
  scripts: Pick<Scripts, 'grantBudget' | 'revokeGrant' | 'budgetGrants'>;
  most: number;
}

/** Boosts of budgets: they are few, so those of all tenants are in one partition, and each sidecar reads all of them. */
export class BudgetGrantCalls {
  readonly #deps: BudgetGrantCallsDeps;

  constructor(deps: BudgetGrantCallsDeps) {
    this.#deps = deps;
  }

  async grant(grant: BudgetGrant): Promise<{ at: number; replayed: boolean }> {
    checkBudgetGrant(grant);
    const { connection, keys, most, scripts } = this.#deps;
    const args = [budgetGrantField(grant.id), String(grant.expiresAt), encode(grant), String(most)];
    const reply = await connection.run(scripts.grantBudget, [keys.stream, keys.budgetGrants], args);
    const [status, time] = reply as [string, string];
    if (status === 'full') throw new BudgetGrantsFull(most);
    if (status === 'expired') throw new BudgetGrantExpired(grant, Number(time));
    return { at: Number(time), replayed: status === 'replayed' };
  }

  async revoke(id: string, by: string): Promise<boolean> {
    const { connection, keys, scripts } = this.#deps;
    const args = [budgetGrantField(id), JSON.stringify(by), String(REVOKED_TTL_MS)];
    return (await connection.run(scripts.revokeGrant, [keys.stream, keys.budgetGrants], args)) === 1;
  }

  async live(version = ''): Promise<BudgetGrants | undefined> {
    const { connection, keys, scripts } = this.#deps;
    const reply = await connection.run(scripts.budgetGrants, [keys.budgetGrants], [version]);
    if (reply === null) return undefined;
    const [now = '', ...stored] = reply as string[];
    return { version: now, grants: oldestFirst(stored.map(decode)) };
  }
}

/** See `lua/grant-budget-2.lua`. */
interface Encoded {
  id: string;
  event: string;
  tokens: string;
  terms: string;
  by: string;
}

function encode({ by, expiresAt, id, reason, tenantId, tokens, userId }: BudgetGrant): string {
  const encoded: Encoded = {
    id: JSON.stringify(id).slice(1, -1),
    event: opened({ v: USAGE_EVENT_VERSION, decision_id: id, tenant_id: tenantId, user_id: userId }),
    tokens: String(tokens),
    terms: members({ expires_at: expiresAt, reason }),
    by: JSON.stringify(by),
  };
  return JSON.stringify(encoded);
}

/** `<until>:<at>:<JSON>` */
function decode(stored: string): LiveBudgetGrant {
  const [until = '', at = ''] = stored.split(':', 2);
  const { by, event, terms, tokens } = JSON.parse(stored.slice(until.length + at.length + 2)) as Encoded;
  const about = JSON.parse(`${event}}`) as Record<'decision_id' | 'tenant_id' | 'user_id', string>;
  const { expires_at, reason } = JSON.parse(`{${terms.slice(1)}}`) as NonNullable<UsageEvent['grant']>;
  return {
    id: about.decision_id,
    tenantId: about.tenant_id,
    userId: about.user_id,
    tokens: Number(tokens),
    expiresAt: expires_at,
    reason,
    by: JSON.parse(by),
    at: Number(at),
  };
}
