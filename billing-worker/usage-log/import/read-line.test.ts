import { describe, expect, test } from 'vitest';
import { LineIds } from './line-ids.ts';
import { type Format, readLine } from './read-line.ts';

const read = (line: string | object, format: Format = 'auto', ids = new LineIds()) =>
  readLine(Buffer.from(typeof line === 'string' ? line : JSON.stringify(line)), format, ids);
const rowOf = (line: string | object, format: Format = 'auto') => {
  const result = read(line, format);
  return 'request' in result ? result.request : expect.fail(JSON.stringify(result));
};

const WHO = {
  tenant_id: 'acme',
  team_id: 'data & more',
  user_id: 'alice',
  credential_id: 'key:k0_Ab12Cd34Ef56',
  decision_id: '01932f0c-1000-7000-8000-000000000001.0',
};
const TOLD = { ...WHO, team_id: 'data%20&%20more' };

/** As deploy/ makes nginx, Caddy 2.6 and HAProxy write them; Traefik and Envoy as their documentation has them. */
const LINES = {
  nginx: `{"time":"2026-10-21T19:06:57.978+02:00","request_id":"5c8f3a0b1d2e4f60718293a4b5c6d7e8","method":"POST","path":"/v1/chat","status":"200","request_time":0.012,"request_length":1290,"bytes_sent":342,"tenant_id":"acme","team_id":"data%20&%20more","user_id":"alice","credential_id":"key:k0_Ab12Cd34Ef56","decision_id":"01932f0c-1000-7000-8000-000000000001.0"}`,
  caddy: `{"level":"info","ts":1792602417.9784212,"logger":"http.log.access.log0","msg":"handled request","request":{"method":"POST","uri":"/v1/chat"},"user_id":"5c8f3a0b-1d2e-4f60-8182-93a4b5c6d7e8 acme data%20&%20more alice key:k0_Ab12Cd34Ef56 01932f0c-1000-7000-8000-000000000001.0 1290","duration":0.0119,"size":342,"status":200}`,
  haproxy: `{"time":"2026-10-21T17:06:57.978Z","unique_id":"5c8f3a0b-1d2e-4f60-8182-93a4b5c6d7e8","method":"POST","path":"\\/v1\\/chat","status":"200","duration_ms":"12","bytes_in":"1290","bytes_out":"342","tenant_id":"acme","team_id":"data%20&%20more","user_id":"alice","credential_id":"key:k0_Ab12Cd34Ef56","decision_id":"01932f0c-1000-7000-8000-000000000001.0"}`,
  envoy: `{"start_time":"2026-10-21T17:06:57.978Z","request_id":"5c8f3a0b-1d2e-4f60-8182-93a4b5c6d7e8","method":"POST","path":"/v1/chat","response_code":200,"duration":12,"bytes_received":1290,"bytes_sent":342,"tenant_id":"acme","team_id":"data%20&%20more","user_id":"alice","credential_id":"key:k0_Ab12Cd34Ef56","decision_id":"01932f0c-1000-7000-8000-000000000001.0"}`,
  traefik: `{"DownstreamContentSize":342,"DownstreamStatus":200,"Duration":11978421,"RequestContentSize":1290,"RequestMethod":"POST","RequestPath":"/v1/chat?api_key=query-secret","StartUTC":"2026-10-21T17:06:57.978421233Z","level":"info","msg":"","request_X-Credential-Id":"key:k0_Ab12Cd34Ef56","request_X-Decision-Id":"01932f0c-1000-7000-8000-000000000001.0","request_X-Team-Id":"data%20&%20more","request_X-Tenant-Id":"acme","request_X-User-Id":"alice","time":"2026-10-21T17:06:57Z"}`,
};
const IDS = {
  nginx: '5c8f3a0b1d2e4f60718293a4b5c6d7e8',
  caddy: '5c8f3a0b-1d2e-4f60-8182-93a4b5c6d7e8',
  haproxy: '5c8f3a0b-1d2e-4f60-8182-93a4b5c6d7e8',
  envoy: `5c8f3a0b-1d2e-4f60-8182-93a4b5c6d7e8/${WHO.decision_id}`,
  traefik: expect.stringMatching(/^line:[0-9a-f]{64}:0$/),
};
const NAMES = Object.keys(LINES) as (keyof typeof LINES)[];

test.each(NAMES)('a line of %s is told from the others, and means the same', (gateway) => {
  const row = {
    id: IDS[gateway],
    at: '2026-10-21T17:06:57.978Z',
    ...WHO,
    method: 'POST',
    path: '/v1/chat',
    status: 200,
    duration_ms: 12,
    bytes_in: 1290,
    bytes_out: 342,
    gateway,
  };
  expect(rowOf(LINES[gateway])).toEqual(row);
  expect(rowOf(LINES[gateway], gateway)).toEqual(row);
});

describe('other shapes of the same gateways', () => {
  test('nginx with the names of its variables, as most formats have them', () => {
    const line = {
      time_iso8601: '2026-10-21T19:06:57+02:00',
      request_method: 'GET',
      request_uri: '/v1/models?key=query-secret',
      status: 404,
      request_time: '0.001',
      body_bytes_sent: '17',
    };
    expect(rowOf(line)).toEqual({
      id: expect.stringMatching(/^line:/),
      at: '2026-10-21T17:06:57.000Z',
      method: 'GET',
      path: '/v1/models',
      status: 404,
      duration_ms: 1,
      bytes_out: 17,
      gateway: 'nginx',
    });
    expect(rowOf({ ...line, msec: '1792602417.123' }).at).toBe('2026-10-21T17:06:57.123Z');
  });

  test('Caddy 2.8 and later, with log_append and the bytes that it has read', () => {
    const line = {
      ...{ level: 'info', ts: '2026-10-21T17:06:57.978+0000', logger: 'http.log.access', msg: 'handled request' },
      request: { remote_ip: '127.0.0.1', method: 'POST', uri: 'http://u:p@host/v1/chat?x=query-secret', headers: {} },
      ...{ bytes_read: 1290, user_id: 'somebody', duration: 0.0119, size: 342, status: 200 },
      ...{ uuid: '5c8f3a0b-1d2e-4f60-8182-93a4b5c6d7e8', ...TOLD },
    };
    const { id, ...row } = rowOf(line);
    expect(id).toBe(line.uuid);
    expect(row).toMatchObject({
      ...WHO,
      path: '/v1/chat',
      bytes_in: 1290,
      at: '2026-10-21T17:06:57.978Z',
    });
  });

  test('who is not known, and what did not happen, is left out', () => {
    const none = { tenant_id: '-', team_id: '', user_id: null, credential_id: '-', decision_id: '' };
    const line = { ...JSON.parse(LINES.haproxy), ...none, duration_ms: '-1', bytes_in: '-', method: '-', path: '-' };
    expect(rowOf(line)).toEqual({
      id: IDS.haproxy,
      at: '2026-10-21T17:06:57.978Z',
      status: 200,
      bytes_out: 342,
      gateway: 'haproxy',
    });
  });

  test('the status of HTTP/0.9 and names that are no percent-encoding are read as they are', () => {
    expect(rowOf({ ...JSON.parse(LINES.nginx), status: '009', team_id: '100%' })).toMatchObject({
      status: 9,
      team_id: '100%',
    });
  });
});

test.each(['envoy', 'traefik'] as const)('two requests for which a client gives %s the same id are two', (gateway) => {
  const line = { ...JSON.parse(LINES[gateway]), request_id: 'same', 'request_X-Request-Id': 'same' };
  const other = { ...line, decision_id: 'other.0', 'request_X-Decision-Id': 'other.0' };
  const [first, second] = [rowOf(line), rowOf(other)];
  expect(first.id).toBe(`same/${WHO.decision_id}`);
  expect(second.id).toBe('same/other.0');
});

describe('lines without an id', () => {
  const line = Buffer.from('{"time":"2026-10-21T17:06:57Z","status":200}');
  const ids = (count: number, of: LineIds) =>
    Array.from({ length: count }, () => {
      const result = readLine(line, 'auto', of);
      return 'request' in result ? result.request.id : '';
    });

  test('are counted where they are equal: each is one request, and the same one when the file is read again', () => {
    const first = ids(3, new LineIds());
    expect(new Set(first).size).toBe(3);
    expect(ids(3, new LineIds())).toEqual(first);
    expect(ids(2, new LineIds())).toEqual(first.slice(0, 2));
  });
});

test.each([
  ['its start', '{"level":"info","ts":1792602417.97,"msg":"serving initial configuration"}'],
  ['another of its loggers', '{"level":"info","ts":1792602417.97,"logger":"tls","msg":"x"}'],
  [
    'a request that failed, which is in the access log as well',
    '{"level":"error","ts":1792602417.97,"logger":"http.log.error.log0","msg":"dial","request":{"uri":"/"},"status":502}',
  ],
  ['Traefik', '{"level":"error","time":"2026-10-21T17:06:57Z","message":"x"}'],
])("a line of the gateway's own log (%s) is no request", (_, line) => {
  expect(read(line)).toEqual({ other: true });
});

test.each([
  ['secret-text', 'it is no JSON object'],
  ['["secret-text"]', 'it is no JSON object'],
  ['{"time":"secret-text', 'it is no JSON object'],
  ['{"status":200,"path":"/secret-text"}', 'it has no time that can be read as one of nginx'],
  ['{"status":200,"time":"21/Oct/2026:17:06:57 +0000"}', 'it has no time that can be read as one of nginx'],
  ['{"status":200,"time":"9999-12-31T23:59:59Z"}', 'it has no time that can be read as one of nginx'],
  ['{"status":200,"time":"2026-02-31T25:00:00Z"}', 'it has no time that can be read as one of nginx'],
  ['{"time":"2026-10-21T17:06:57Z"}', 'it has no status that can be read as one of nginx'],
  ['{"time":"2026-10-21T17:06:57Z","status":"secret-text"}', 'it has no status that can be read as one of nginx'],
  [
    '{"unique_id":"x","status":1000,"time":"2026-10-21T17:06:57Z"}',
    'it has no status that can be read as one of haproxy',
  ],
])('%s cannot be read, and the reason does not repeat it', (line, wrong) => {
  expect(read(line)).toEqual({ wrong });
});

test('what a gateway writes is read as of that one alone, where it is named', () => {
  expect(read(LINES.nginx, 'traefik')).toEqual({ wrong: 'it has no time that can be read as one of traefik' });
});
