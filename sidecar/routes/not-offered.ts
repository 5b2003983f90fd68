import { Hono } from 'hono';
import { Refusal } from './refusal.ts';

const WRITES = ['PUT', 'PATCH', 'DELETE'];

/** What OPA's API has and a compiled policy cannot have, and methods that no route has: docs/opa-compatibility.md. */
export function notOfferedRoutes(): Hono {
  const app = new Hono();
  app.on(WRITES, '/v1/data/*', () => {
    const message = 'documents come with the policy bundle and the configuration files, and cannot be written here';
    throw new Refusal(405, 'invalid_operation', message, undefined, { Allow: 'GET, POST' });
  });
  for (const [path, what] of Object.entries(ABSENT)) {
    app.on(['GET', 'POST', ...WRITES], path, () => {
      throw new Refusal(
        404,
        'resource_not_found',
        `${what} not offered: the policy is compiled, and comes as a bundle`,
      );
    });
  }
  for (const [path, allow] of Object.entries(ALLOWED)) {
    const vary = path.includes('data') && { Vary: 'Accept-Encoding' };
    app.all(path, (c) => c.body(null, 405, { Allow: allow, ...vary }));
  }
  return app;
}

const ABSENT = {
  '/v1/query/*': 'ad-hoc queries are',
  '/v1/compile/*': 'partial evaluation is',
  '/v1/policies/*': 'reading and writing policies is',
};

const ALLOWED = {
  '/': 'POST',
  '/v0/data/*': 'POST',
  '/v1/data/*': 'GET, POST',
  '/v1/batch/data/*': 'POST',
  '/v1/query/*': '',
  '/v1/compile/*': '',
  '/v1/policies/*': '',
  '/v1/status': 'GET',
  '/v1/config': 'GET',
  '/v1/usage': 'POST',
  '/health': 'GET',
  '/health/live': 'GET',
  '/health/ready': 'GET',
  '/metrics': 'GET',
};
