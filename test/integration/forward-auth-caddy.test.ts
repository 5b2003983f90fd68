import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../runtime/package-root.ts';
import { bringCaddy } from '../helpers/bring.ts';
import { startCaddyOn } from '../helpers/caddy.ts';
import { forwardAuthSuite } from './forward-auth.suite.ts';

forwardAuthSuite({
  name: 'Caddy',
  bring: bringCaddy,
  start: async ({ openclaw, sidecar }) => {
    const shipped = await readFile(join(packageRoot, 'deploy/caddy/Caddyfile'), 'utf8');
    return startCaddyOn((port) =>
      shipped
        .replace('127.0.0.1:18789', openclaw)
        .replace('127.0.0.1:8181', sidecar)
        .replace('127.0.0.1:8080', `127.0.0.1:${port}`),
    );
  },
  tooMany: { reason: 'rate_limited' },
  away: 502,
});
