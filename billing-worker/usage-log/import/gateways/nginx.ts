import { instant, type Line, whole } from '../values.ts';
import type { Logged } from './logged.ts';
import { who } from './who.ts';

/** nginx has no JSON format of its own: the names are those of its variables, as in deploy/nginx and in most formats. */
export const nginx = (line: Line): Logged => ({
  ...who(line),
  id: line.request_id,
  at: instant(line.time ?? line.msec ?? line.time_iso8601),
  method: line.method ?? line.request_method,
  path: line.path ?? line.request_uri ?? line.uri,
  status: line.status,
  duration_ms: whole(line.duration_ms) ?? whole(line.request_time, 0.001),
  bytes_in: line.bytes_in ?? line.request_length,
  bytes_out: line.bytes_out ?? line.bytes_sent ?? line.body_bytes_sent,
});
