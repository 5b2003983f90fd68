import { describe, expect, test } from 'vitest';
import { bringNginx } from '../helpers/bring.ts';
import { startShippedNginx } from '../helpers/shipped-gateways.ts';
import { forwardAuthStage, forwardAuthSuite } from './forward-auth.suite.ts';

forwardAuthSuite({
  name: 'nginx',
  bring: bringNginx,
  start: startShippedNginx,
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
