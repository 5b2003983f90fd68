/** Names a tenant's cycle in a URL: `acme@2026-10-01T00:00:00.000Z`, percent-encoded there. */
export interface CycleId {
  tenantId: string;
  /** Epoch milliseconds. */
  start: number;
}

export const writeCycleId = ({ start, tenantId }: CycleId): string => `${tenantId}@${new Date(start).toISOString()}`;

/** Undefined: it names no cycle. A tenant's name may hold an `@` itself: the last one counts. */
export function readCycleId(text: string): CycleId | undefined {
  const at = text.lastIndexOf('@');
  const start = Date.parse(text.slice(at + 1));
  if (at < 1 || Number.isNaN(start) || text.includes('\u0000')) return undefined;
  const id = { tenantId: text.slice(0, at), start };
  return writeCycleId(id) === text ? id : undefined;
}
