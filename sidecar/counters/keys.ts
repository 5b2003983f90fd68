import { crc32 } from 'node:zlib';
import type { Limit, Scope } from '../../schemas/policy-io.ts';
import { usageStreamKey } from '../../schemas/usage-stream.ts';
import type { Gate } from './contract.ts';

/**
 * Percent-encodes a name that came from outside, so that no name can hold a separator, a hash tag, NUL or a newline,
 * and two names never share a key: `:` `{` `}` `%` and all control and non-ASCII characters become `%XX`.
 * Throws `URIError` for a lone surrogate; input with one is refused before it comes here.
 */
const encodeName = (name: string): string => (PLAIN.test(name) ? name : encodeURIComponent(name));

/** Most names, and the id of every decision: looked at in a fifth of the time that it takes to encode them. */
const PLAIN = /^[\w.-]*$/;

/**
 * The names of keys in one partition. The hash tag keeps all of a partition's keys in one slot of a Redis Cluster.
 * Layout: `ocr:{<tag>}:<kind>:…`. On a cluster, what is shared at a provider account is in a partition of its own.
 */
export interface PartitionKeys {
  stream: string;
  /** Reservations that are neither settled, voided nor expired, by when they expire. */
  open: string;
  /** How many records there are. */
  records: string;
  /** Boosts of budgets, a field each by `budgetGrantField`: those of all tenants are in partition 0. */
  budgetGrants: string;
  /** API keys, a field each by its id; `@published` is there once the ledger's are. */
  apiKeys: string;
  /** When they were last used. */
  apiKeysUsed: string;
  /** All counters of one subject in one hash, a field per limit: read and written in one call. */
  subject(tenantId: string, limit: Pick<Limit, 'scope' | 'subject'>): string;
  gate(gate: Gate): string;
  record(decisionId: string): string;
  request(tenantId: string, requestId: string): string;
  /** What came of the last call of one lane. */
  call(lane: string): string;
  /** What became of the takes of one run. */
  run(tenantId: string, runId: string): string;
  /** Of the models of a provider account. */
  health(account: string): string;
}

export const partitionKeys = (partition: number): PartitionKeys =>
  keysOf(`ocr:{p${partition}}:`, usageStreamKey(partition));

/** `account` is the name behind `shared:`. Its stream is never written: what it charged is in the events of the tenants. */
export function accountKeys(account: string): PartitionKeys {
  const prefix = `ocr:{s:${encodeName(account)}}:`;
  return keysOf(prefix, `${prefix}usage`);
}

function keysOf(prefix: string, stream: string): PartitionKeys {
  return {
    stream,
    open: `${prefix}open`,
    records: `${prefix}records`,
    budgetGrants: `${prefix}grants`,
    apiKeys: `${prefix}keys`,
    apiKeysUsed: `${prefix}keys-used`,
    subject: (tenantId, { scope, subject }) =>
      `${prefix}c:${owner(tenantId, scope)}:${encodeName(subject.type)}:${encodeName(subject.id)}`,
    gate: ({ name, scope, tenantId }) => `${prefix}g:${owner(tenantId, scope)}:${encodeName(name)}`,
    record: (decisionId) => `${prefix}d:${encodeName(decisionId)}`,
    request: (tenantId, requestId) => `${prefix}q:${encodeName(tenantId)}:${encodeName(requestId)}`,
    call: (lane) => `${prefix}l:${encodeName(lane)}`,
    run: (tenantId, runId) => `${prefix}r:${encodeName(tenantId)}:${encodeName(runId)}`,
    health: (account) => `${prefix}h:@${encodeName(account)}`,
  };
}

/** How many partitions there are, written by the first process. */
export const partitionCountKey = 'ocr:{p0}:partitions';

/** In which of so many partitions a tenant's keys are. Kept for ever: another answer would look for them elsewhere. */
export const partitionOf = (tenantId: string, partitions: number): number => crc32(tenantId) % partitions;

/** The provider account behind a shared scope. */
export const accountOf = (scope: Scope | undefined): string | undefined =>
  scope === undefined || scope === 'tenant' ? undefined : scope.slice('shared:'.length);

/** An `@` in a tenant's name is encoded, so no tenant can name itself after an account. */
function owner(tenantId: string, scope: Scope): string {
  const account = accountOf(scope);
  return account === undefined ? encodeName(tenantId) : `@${encodeName(account)}`;
}

/**
 * The field of a limit's counter in its subject's hash. The kind is part of it: a limit that becomes one of another
 * kind begins anew, and never reads a counter that was kept for something else.
 */
export const counterField = ({ id, kind }: Pick<Limit, 'id' | 'kind'>): string => `${kind[0]}:${encodeName(id)}`;

/** The field of a boost. It never begins with `@`, as those do that are about all of them. */
export const budgetGrantField = (id: string): string => encodeName(id);
