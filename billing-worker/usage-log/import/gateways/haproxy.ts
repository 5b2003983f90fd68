import { instant, type Line, whole } from '../values.ts';
import type { Logged } from './logged.ts';
import { who } from './who.ts';

/** HAProxy has no JSON format of its own: the names are those of deploy/haproxy. */
export const haproxy = (line: Line): Logged => ({
  ...who(line),
  id: line.unique_id,
  at: instant(line.time),
  method: line.method,
  path: line.path,
  status: line.status,
  duration_ms: whole(line.duration_ms),
  bytes_in: line.bytes_in,
  bytes_out: line.bytes_out,
});
