import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { bringNginx } from '../helpers/bring.ts';
import { startNginxOn, withinHttp } from '../helpers/nginx.ts';
import { forwardAuthStage, forwardAuthSuite } from './forward-auth.suite.ts';

forwardAuthSuite({
  name: 'nginx',
  bring: bringNginx,
  start: async ({ openclaw, sidecar }) => {
    const shipped = await readFile(join(packageRoot, 'deploy/nginx/openclaw.conf'), 'utf8');
    return startNginxOn((port, dir) => {
      const here = shipped
        .replace('127.0.0.1:18789', openclaw)
        .replace('127.0.0.1:8181', sidecar)
        .replace('127.0.0.1:8080', `127.0.0.1:${port}`);
      return withinHttp(dir, `access_log off;\n${here}`);
    });
  },
  tooMany: { error: 'Too many requests' },
  away: 503,
});

describe('/authz itself', () => {
  const stage = forwardAuthStage();
  const authz = (headers: Record<string, string>, init: RequestInit = {}) =>
    fetch(`${stage.sidecar.url}/authz`, { ...init, headers });

  test('takes on every method, and says why it refuses', async () => {
    const service = { Authorization: 'Bearer service-token', 'X-Tenant-ID': 'initech', 'X-User-ID': 'milton' };
    for (const method of ['GET', 'POST', 'DELETE']) {
      const response = await authz(service, { method });
      expect(response.status).toBe(200);
      expect(response.headers.get('x-tenant-id')).toBe('initech');
      expect(response.headers.get('x-user-id')).toBe('milton');
    }
    const refused = await authz(service);
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ reason: 'rate_limited', error: expect.stringContaining('allowance') });
    expect((await authz({ Authorization: 'Bearer service-token' })).status).toBe(403);
    expect((await fetch(`${stage.sidecar.url}/authz?package=not/there`, { headers: service })).status).toBe(404);
  });
});
