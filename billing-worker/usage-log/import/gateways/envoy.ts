import { instant, type Line, whole } from '../values.ts';
import type { Logged } from './logged.ts';
import { who } from './who.ts';

/** The names of Envoy's command operators in lower case, as in deploy/envoy and in its documentation. */
export const envoy = (line: Line): Logged => ({
  ...who(line),
  id: line.request_id ?? line['x-request-id'],
  at: instant(line.start_time),
  method: line.method,
  path: line.path,
  status: line.response_code,
  duration_ms: whole(line.duration),
  bytes_in: line.bytes_received,
  bytes_out: line.bytes_sent,
});
