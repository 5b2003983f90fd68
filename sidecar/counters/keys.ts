import type { Limit } from '../../schemas/policy-io.ts';
import { usageStreamKey } from '../../schemas/usage-stream.ts';

/**
 * Percent-encodes a name that came from outside, so that no name can hold a separator, a hash tag, NUL or a newline,
 * and two names never share a key: `:` `{` `}` `%` and all control and non-ASCII characters become `%XX`.
 * Throws `URIError` for a lone surrogate; input with one is refused before it comes here.
 */
const encodeName = (name: string): string => encodeURIComponent(name);

/**
 * The names of keys in one partition. The hash tag keeps all of a partition's keys in one slot of a Redis Cluster.
 * Layout: `ocr:{p<n>}:<kind>:…`
 */
export interface PartitionKeys {
  stream: string;
  /** Reservations that are neither settled, voided nor expired, by when they expire. */
  open: string;
  /** All counters of one subject in one hash, a field per limit: read and written in one call. */
  subject(tenantId: string, subject: Limit['subject']): string;
  record(decisionId: string): string;
  request(tenantId: string, requestId: string): string;
}

export function partitionKeys(partition: number): PartitionKeys {
  const prefix = `ocr:{p${partition}}:`;
  return {
    stream: usageStreamKey(partition),
    open: `${prefix}open`,
    subject: (tenantId, subject) =>
      `${prefix}c:${encodeName(tenantId)}:${encodeName(subject.type)}:${encodeName(subject.id)}`,
    record: (decisionId) => `${prefix}d:${encodeName(decisionId)}`,
    request: (tenantId, requestId) => `${prefix}q:${encodeName(tenantId)}:${encodeName(requestId)}`,
  };
}

/**
 * The field of a limit's counter in its subject's hash. The kind is part of it: a limit that becomes one of another
 * kind begins anew, and never reads a counter that was kept for something else.
 */
export const counterField = ({ id, kind }: Pick<Limit, 'id' | 'kind'>): string => `${kind[0]}:${encodeName(id)}`;
