import { instant, isObject, type Line, text, whole } from '../values.ts';
import type { Logged } from './logged.ts';
import { who } from './who.ts';

/**
 * Caddy's own shape. Before 2.8 nothing can be added to it; deploy/caddy writes into `user_id` what is to be logged. Later ones
 * have `log_append`, whose names are then beside.
 */
export const caddy = (line: Line): Logged => {
  const request = isObject(line.request) ? line.request : {};
  const told = toldIn(line.user_id);
  return {
    ...(told ?? who(line)),
    id: told?.id ?? line.request_id ?? line.uuid,
    at: instant(line.ts),
    method: request.method,
    path: request.uri,
    status: line.status,
    duration_ms: whole(line.duration, 0.001),
    // 2.6 does not count what it reads.
    bytes_in: line.bytes_read ?? told?.contentLength ?? (told && 0),
    bytes_out: line.size,
  };
};

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function toldIn(userId: unknown) {
  const parts = (text(userId) ?? '').split(' ');
  const [id = '', tenant_id, team_id, user_id, credential_id, decision_id, contentLength] = parts;
  if (parts.length !== 7 || !UUID.test(id)) return undefined;
  return { id, tenant_id, team_id, user_id, credential_id, decision_id, contentLength: text(contentLength) };
}
