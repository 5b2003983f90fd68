import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { startGateway } from '../helpers/gateway-process.ts';
import { loadScript } from '../setup/scripts.ts';
import { forwardAuthSuite } from './forward-auth.suite.ts';

/** Traefik and Envoy are too large to be brought for every run: they are started where PATH or these variables have them. */
const { findOnPath } = await loadScript('lib/find-on-path.mjs');
const installed = (name: string, variable: string) => {
  const setting = process.env[variable];
  return setting ? resolve(setting) : findOnPath(name, process.env);
};
const shipped = (file: string) => readFile(join(packageRoot, 'deploy', file), 'utf8');

const traefik = installed('traefik', 'TRAEFIK_BIN');
describe.skipIf(!traefik)('with a Traefik on PATH or in TRAEFIK_BIN', () => {
  forwardAuthSuite({
    name: 'Traefik',
    start: ({ openclaw, sidecar }) =>
      startGateway(traefik as string, async (port, dir) => {
        const file = join(dir, 'openclaw.yaml');
        const text = await shipped('traefik/openclaw.yaml');
        await writeFile(file, text.replace('127.0.0.1:18789', openclaw).replace('127.0.0.1:8181', sidecar));
        const start = join(dir, 'traefik.yaml');
        const settings = (await shipped('traefik/traefik.yaml'))
          .replace('127.0.0.1:8080', `127.0.0.1:${port}`)
          .replace('/etc/traefik/openclaw.yaml', file)
          .replace('/var/log/traefik/openclaw.json', join(dir, 'access.json'));
        await writeFile(start, `${settings}\nglobal: { checkNewVersion: false }\n`);
        return [`--configFile=${start}`];
      }),
    tooMany: { reason: 'rate_limited' },
    away: 500,
  });
});

const envoy = installed('envoy', 'ENVOY_BIN');
const socket = (address: string) => `{ address: ${address.replace(':', ', port_value: ')} }`;
describe.skipIf(!envoy)('with an Envoy on PATH or in ENVOY_BIN', () => {
  forwardAuthSuite({
    name: 'Envoy',
    start: ({ openclaw, sidecar }) =>
      startGateway(envoy as string, async (port, dir) => {
        const file = join(dir, 'openclaw.yaml');
        const text = await shipped('envoy/openclaw.yaml');
        const here = text
          .replace('/var/log/envoy/openclaw.json', join(dir, 'access.json'))
          .replace(socket('127.0.0.1:18789'), socket(openclaw))
          .replace(socket('127.0.0.1:8181'), socket(sidecar))
          .replace(socket('127.0.0.1:8080'), socket(`127.0.0.1:${port}`));
        await writeFile(file, here);
        return ['--config-path', file, '--concurrency', '1', '--disable-hot-restart'];
      }),
    tooMany: { reason: 'rate_limited' },
    away: 503,
  });
});
