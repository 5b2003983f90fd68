import { z } from 'zod';
import { USAGE_EVENT_VERSION, type UsageEvent, usageEventSchema } from '../../schemas/usage-event.ts';

export type Parsed = { kind: 'event'; event: UsageEvent } | { kind: 'unreadable'; reason: string };

/** The year 10000, from which on instants have no RFC 3339 form. */
const END_OF_TIME = Date.UTC(10_000, 0);

/** Reads the text of a stream entry. What cannot become a ledger row is a value, with the reason for a person. */
export function parseEntry(text: string | undefined): Parsed {
  if (text === undefined) return unreadable('the entry has no field "e"');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return unreadable('field "e" is not JSON');
  }
  const version = (json as { v?: unknown } | null)?.v;
  if (typeof version === 'number' && version > USAGE_EVENT_VERSION) {
    return unreadable(`version ${version} is newer than ${USAGE_EVENT_VERSION}, the newest that this worker reads`);
  }
  const parsed = usageEventSchema.safeParse(json);
  if (!parsed.success) return unreadable(z.prettifyError(parsed.error));
  if (Math.max(parsed.data.decided_at, parsed.data.at) >= END_OF_TIME) {
    return unreadable('decided_at and at must be before the year 10000');
  }
  return { kind: 'event', event: parsed.data };
}

const unreadable = (reason: string): Parsed => ({ kind: 'unreadable', reason });
