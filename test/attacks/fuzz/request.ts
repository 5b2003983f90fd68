import { gzipSync } from 'node:zlib';
import type { Sent } from './connection.ts';
import type { Dice } from './dice.ts';
import { hostileName, someName } from './hostile-values.ts';
import { mutated } from './json-text.ts';
import { ROUTES, type Route, type Seen } from './routes.ts';

/** What shows who asks. */
export interface Access {
  service: string;
  admin: string;
  /** The cookie of somebody who has signed in to the admin's pages. */
  session: string;
}

export interface FuzzRequest extends Sent {
  route: Route;
  path: string;
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND'];
const TOTAL = ROUTES.reduce((sum, { weight }) => sum + weight, 0);

function someRoute(dice: Dice): Route {
  let at = dice.next() * TOTAL;
  for (const route of ROUTES) {
    at -= route.weight;
    if (at < 0) return route;
  }
  return ROUTES[0] as Route;
}

/** A request that is HTTP, whatever else may be wrong with it. */
export function someRequest(dice: Dice, access: Access, seen: Seen): FuzzRequest {
  const route = someRoute(dice);
  const method = dice.chance(0.03) ? dice.one(METHODS) : route.method;
  const path = `${route.path(dice, seen)}${queryOf(route, dice)}`;
  const headers: [string, string][] = [['Host', dice.chance(0.01) ? latin(hostileName(dice)) || 'a' : '127.0.0.1']];
  headers.push(...authority(route, access, dice), ...extras(dice));
  const body = bodyOf(route, dice, seen);
  const bytes = bytesOf({ method, path, headers, body, dice });
  return { route, path: `${method} ${path}`, bytes, toHead: method === 'HEAD' };
}

function queryOf({ query }: Route, dice: Dice): string {
  if (!query || dice.chance(0.5)) return '';
  const pairs = Array.from({ length: dice.below(4) }, () => {
    const name = dice.chance(0.9) ? dice.one(query) : hostileName(dice);
    return `${encode(name, dice)}${dice.chance(0.1) ? '' : `=${encode(parameter(name, dice), dice)}`}`;
  });
  return `?${pairs.join('&')}`;
}

const VALUES: Record<string, string[]> = {
  input: ['{"tenant_id":"acme"}', '{', 'null', '7', '{"tenant_id":"acme","input_tokens":1e400}'],
  limit: ['1', '100', '1001', '-1', '1e3'],
  package: ['openclaw/rate_limit', 'openclaw/routing', '../x', '__proto__'],
  from: ['2026-01-01T00:00:00Z', '2026', '-271821-04-20T00:00:00Z', '9999-12-31T23:59:59Z'],
  to: ['2026-02-01T00:00:00Z', '275760-09-13T00:00:00Z'],
  group_by: ['tenant', 'user', 'model', 'day'],
  month: ['2026-10', '2026-13', '0000-01'],
  by: ['requests', 'bytes', 'tokens'],
  invoice_usd: ['2400.50', '999999999999999.99', '-1'],
  timezone: ['Europe/Berlin', 'UTC', '../../etc/localtime'],
  format: ['csv', 'json', 'html'],
  after: ['MTow', '0', 'k0_x'],
  page: ['0', '1', '99999999999999999999', '-1'],
};

const parameter = (name: string, dice: Dice) => {
  const values = Object.hasOwn(VALUES, name) ? VALUES[name] : undefined;
  return values && dice.chance(0.7) ? dice.one(values) : someName(dice);
};

/** Percent-encoded, or as it is where the request line can hold it. */
const encode = (text: string, dice: Dice) =>
  dice.chance(0.9) ? encodeURIComponent(text.toWellFormed()) : latin(text).replace(/[ #?&]/g, '+');

function authority({ token }: Route, { admin, service, session }: Access, dice: Dice): [string, string][] {
  if (dice.chance(0.03)) return [];
  if (dice.chance(0.01)) return [['Authorization', latin(`Bearer ${hostileName(dice)}`)]];
  if (dice.chance(0.01)) return [['X-API-Key', latin(hostileName(dice))]];
  if (token === 'session') return [['Cookie', session]];
  return token === 'none' ? [] : [['Authorization', `Bearer ${token === 'admin' ? admin : service}`]];
}

const NAMES = [
  'X-Tenant-ID',
  'X-User-ID',
  'X-Team-ID',
  'X-Forwarded-Email',
  'X-Forwarded-For',
  'X-Forwarded-Proto',
  'Idempotency-Key',
  'Accept',
  'Cookie',
  'traceparent',
  'tracestate',
  '__proto__',
  'X_Forwarded_Email',
  'If-None-Match',
  'Range',
];

function extras(dice: Dice): [string, string][] {
  const headers: [string, string][] = [];
  if (dice.chance(0.2)) headers.push(['Accept-Encoding', dice.one(['gzip', '*', 'gzip;q=0', 'br'])]);
  if (dice.chance(0.05)) headers.push(['Expect', '100-continue']);
  while (dice.chance(0.15)) headers.push([dice.one(NAMES), latin(someName(dice))]);
  return headers;
}

function bodyOf({ body, isForm }: Route, dice: Dice, seen: Seen): Buffer | undefined {
  if (!body) return dice.chance(0.05) ? dice.bytes(20) : undefined;
  const value = body(dice, seen);
  if (isForm)
    return Buffer.from(
      new URLSearchParams(
        Object.entries(Object(value)).map(([k, v]): [string, string] => [
          k,
          typeof v === 'string' ? v : (JSON.stringify(v) ?? ''),
        ]),
      ).toString(),
    );
  const text = JSON.stringify(value) ?? '';
  return dice.chance(0.15) ? mutated(text, dice) : Buffer.from(text);
}

interface Parts {
  method: string;
  path: string;
  headers: [string, string][];
  body: Buffer | undefined;
  dice: Dice;
}

function bytesOf({ body, dice, headers, method, path }: Parts): Buffer {
  const all = [...headers];
  const parts: Buffer[] = [];
  if (body) {
    const packed = dice.chance(0.05);
    const sent = packed && dice.chance(0.7) ? gzipSync(body) : body;
    if (packed) all.push(['Content-Encoding', dice.one(['gzip', 'gzip', 'x-gzip', 'br', '__proto__'])]);
    all.push(['Content-Type', dice.one(['application/json', 'application/x-www-form-urlencoded', 'text/plain'])]);
    if (dice.chance(0.1)) {
      all.push(['Transfer-Encoding', 'chunked']);
      parts.push(...chunked(sent, dice));
    } else {
      all.push(['Content-Length', String(sent.length)]);
      parts.push(sent);
    }
  }
  const head = `${method} ${path} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), ...parts]);
}

function chunked(body: Buffer, dice: Dice): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const size = Math.min(1 + dice.below(200), body.length - at);
    parts.push(Buffer.from(`${size.toString(16)}\r\n`), body.subarray(at, at + size), Buffer.from('\r\n'));
    at += size;
  }
  return [...parts, Buffer.from('0\r\n\r\n')];
}

/** What a header or a request line can hold: no controls, and bytes instead of characters. */
const latin = (text: string) =>
  Buffer.from(text.toWellFormed())
    .toString('latin1')
    .replace(/[^\x20-\x7e\x80-\xff]/g, '');

const GARBAGE: ((dice: Dice, request: Buffer) => Buffer)[] = [
  (dice) => dice.bytes(1 + dice.below(500)),
  (dice, request) => request.subarray(0, 1 + dice.below(request.length)),
  (dice, request) => {
    const bytes = Buffer.from(request);
    for (let i = 1 + dice.below(5); i > 0; i--) bytes[dice.below(bytes.length)] = dice.below(256);
    return bytes;
  },
  (_, request) => Buffer.from(request.toString('latin1').replaceAll('\r\n', '\n'), 'latin1'),
  (_, request) =>
    Buffer.from(
      request.toString('latin1').replace('\r\n', '\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n'),
      'latin1',
    ),
  (_, request) => Buffer.concat([request, request, Buffer.from('\0\0\0')]),
  (dice) => Buffer.from(`GET /${'a'.repeat(dice.below(40_000))} HTTP/1.1\r\nHost: a\r\n\r\n`),
  () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
];

/** What may be no HTTP at all. */
export const someGarbage = (dice: Dice, access: Access, seen: Seen): Buffer =>
  dice.one(GARBAGE)(dice, someRequest(dice, access, seen).bytes);
