import { MAX_AMOUNT } from '../../../schemas/amounts.ts';
import type { Gateway, GatewayRequest } from '../gateway-request.ts';
import { safePath } from '../safe-path.ts';
import { gatewayOf } from './gateway-of.ts';
import { caddy } from './gateways/caddy.ts';
import { envoy } from './gateways/envoy.ts';
import { haproxy } from './gateways/haproxy.ts';
import type { Logged } from './gateways/logged.ts';
import { nginx } from './gateways/nginx.ts';
import { traefik } from './gateways/traefik.ts';
import type { LineIds } from './line-ids.ts';
import { isObject, type Line, text, whole } from './values.ts';

export type Format = Gateway | 'auto';

/** `other`: a line of the gateway's own log, not of a request. `wrong`: why it cannot be read, without what it says. */
export type Read = { request: GatewayRequest } | { other: true } | { wrong: string };

const GATEWAYS: Record<Gateway, (line: Line) => Logged> = { nginx, caddy, traefik, envoy, haproxy };

/** Their request ids can be the client's own: equal ones are not the same request, unless they are of the same decision. */
const TRUSTS_CLIENTS_IDS: readonly Gateway[] = ['envoy', 'traefik'];

const MAX_ID = 256;
const MAX_NAME = 1_024;
const MAX_METHOD = 32;
const LAST = Date.parse('9999-12-31T00:00:00Z');

/** Reads a line of an access log, without its line feed. */
export function readLine(bytes: Buffer, format: Format, ids: LineIds): Read {
  const line = parseObject(bytes);
  if (!line) return { wrong: 'it is no JSON object' };
  if (isOwnLog(line)) return { other: true };
  const gateway = format === 'auto' ? gatewayOf(line) : format;
  const logged = GATEWAYS[gateway](line);
  const status = whole(logged.status);
  if (logged.at === undefined || logged.at >= LAST)
    return { wrong: `it has no time that can be read as one of ${gateway}` };
  if (status === undefined || status > 999) return { wrong: `it has no status that can be read as one of ${gateway}` };
  return { request: requestOf(logged, { gateway, status, at: logged.at, lineId: () => ids.of(bytes) }) };
}

interface Known {
  gateway: Gateway;
  status: number;
  at: number;
  lineId: () => string;
}

function requestOf(logged: Logged, { at, gateway, lineId, status }: Known): GatewayRequest {
  const decision_id = text(logged.decision_id)?.slice(0, MAX_NAME);
  return withoutUndefined({
    id: idOf(gateway, text(logged.id), decision_id) ?? lineId(),
    at: new Date(at).toISOString(),
    tenant_id: name(logged.tenant_id),
    team_id: name(logged.team_id),
    user_id: name(logged.user_id),
    credential_id: text(logged.credential_id)?.slice(0, MAX_NAME),
    decision_id,
    method: text(logged.method)?.slice(0, MAX_METHOD),
    path: path(logged.path),
    status,
    duration_ms: amount(logged.duration_ms),
    bytes_in: amount(logged.bytes_in),
    bytes_out: amount(logged.bytes_out),
    gateway,
  });
}

function idOf(gateway: Gateway, id: string | undefined, decisionId: string | undefined): string | undefined {
  if (id === undefined || id.length > MAX_ID) return undefined;
  if (!TRUSTS_CLIENTS_IDS.includes(gateway)) return id;
  return decisionId === undefined ? undefined : `${id}/${decisionId}`.slice(0, 2 * MAX_ID);
}

/** Caddy and Traefik write their own log as JSON too, and may write it to the same place. */
const isOwnLog = (line: Line) =>
  'level' in line && (!('status' in line || 'DownstreamStatus' in line) || isErrorLog(line.logger));

/** Of a request that fails Caddy writes a line with a status here as well, beside the one in its access log. */
const isErrorLog = (logger: unknown) => typeof logger === 'string' && !logger.startsWith('http.log.access');

function parseObject(bytes: Buffer): Line | undefined {
  try {
    const parsed: unknown = JSON.parse(bytes.toString('utf8'));
    return isObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** The sidecar tells names percent-encoded where they are no visible ASCII. */
function name(value: unknown): string | undefined {
  const told = text(value);
  if (told === undefined) return undefined;
  try {
    return decodeURIComponent(told).slice(0, MAX_NAME);
  } catch {
    return told.slice(0, MAX_NAME);
  }
}

function path(value: unknown): string | undefined {
  const told = text(value);
  return told === undefined ? undefined : safePath(told);
}

function amount(value: unknown): number | undefined {
  const found = whole(value);
  return found !== undefined && found <= MAX_AMOUNT ? found : undefined;
}

/** JSON would leave it out, too; the type says so. */
function withoutUndefined(
  fields: { [Field in keyof GatewayRequest]: GatewayRequest[Field] | undefined },
): GatewayRequest {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as GatewayRequest;
}
