import type { Gateway } from '../gateway-request.ts';
import { isObject, type Line } from './values.ts';

/** Which gateway has written a line, by fields that the others do not write. */
export function gatewayOf(line: Line): Gateway {
  if (isObject(line.request)) return 'caddy';
  if ('DownstreamStatus' in line) return 'traefik';
  if ('unique_id' in line) return 'haproxy';
  if ('response_code' in line) return 'envoy';
  return 'nginx';
}
