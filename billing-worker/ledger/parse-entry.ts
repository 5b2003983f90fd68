import { z } from 'zod';
import { type AuditEvent, auditEventSchema } from '../../schemas/audit-event.ts';
import { USAGE_EVENT_VERSION, type UsageEvent, usageEventSchema } from '../../schemas/usage-event.ts';
import { isUsual } from './usual-event.ts';

export type Parsed =
  | { kind: 'usage'; event: UsageEvent }
  | { kind: 'audit'; event: AuditEvent }
  | { kind: 'unreadable'; reason: string };

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
  const { type, v: version } = (json ?? {}) as { type?: unknown; v?: unknown };
  if (typeof version === 'number' && version > USAGE_EVENT_VERSION) {
    return unreadable(`version ${version} is newer than ${USAGE_EVENT_VERSION}, the newest that this worker reads`);
  }
  return type === 'audit' ? parseAudit(json) : parseUsage(json, text);
}

function parseUsage(json: unknown, text: string): Parsed {
  if (!text.includes('\\u') && isUsual(json)) return ofItsTime(json);
  const { data: event, error } = usageEventSchema.safeParse(json);
  if (error) return unreadable(z.prettifyError(error));
  if (LONE_SURROGATE.test(text) && !isWellFormed(event)) return unreadable(ILL_FORMED);
  return ofItsTime(event);
}

function ofItsTime(event: UsageEvent): Parsed {
  return withinTime([event.decided_at, event.at])
    ? { kind: 'usage', event }
    : unreadable('decided_at and at must be before the year 10000');
}

function parseAudit(json: unknown): Parsed {
  const { data: event, error } = auditEventSchema.safeParse(json);
  if (error) return unreadable(z.prettifyError(error));
  const ofKeys = event.api_keys?.flatMap((key) => [key.created_at, key.expires_at ?? 0, key.revoked_at ?? 0]) ?? [];
  return withinTime([event.at, ...ofKeys])
    ? { kind: 'audit', event }
    : unreadable('at, and every instant of an API key, must be before the year 10000');
}

/**
 * UTF-8 has no lone surrogate: on the way to PostgreSQL it would become another character, and two names one. JSON text has it
 * as an escape. In an audit event, which goes there as JSON, PostgreSQL refuses it.
 */
const LONE_SURROGATE = /\\ud[89a-f]/i;
const ILL_FORMED = 'a text has a lone surrogate, so it is not well-formed Unicode';

const isWellFormed = (value: unknown): boolean =>
  typeof value === 'string'
    ? value.isWellFormed()
    : typeof value !== 'object' || value === null || Object.values(value).every(isWellFormed);

const withinTime = (instants: number[]) => Math.max(...instants) < END_OF_TIME;

const unreadable = (reason: string): Parsed => ({ kind: 'unreadable', reason });
