import { instant, type Line, whole } from '../values.ts';
import type { Logged } from './logged.ts';

const NANOSECONDS = 1_000_000;

/** Traefik's own names; headers of the request are `request_<Name>`. */
export const traefik = (line: Line): Logged => ({
  id: line['request_X-Request-Id'],
  at: instant(line.StartUTC),
  tenant_id: line['request_X-Tenant-Id'],
  team_id: line['request_X-Team-Id'],
  user_id: line['request_X-User-Id'],
  credential_id: line['request_X-Credential-Id'],
  decision_id: line['request_X-Decision-Id'],
  method: line.RequestMethod,
  path: line.RequestPath,
  status: line.DownstreamStatus,
  duration_ms: whole(line.Duration, NANOSECONDS),
  bytes_in: line.RequestContentSize,
  bytes_out: line.DownstreamContentSize,
});
