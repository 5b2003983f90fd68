import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../runtime/package-root.ts';
import { startCaddyOn } from './caddy.ts';
import { startHaproxyOn } from './haproxy.ts';
import { type Nginx, startNginxOn, withinHttp } from './nginx.ts';
import { tempDir } from './temp-dir.ts';

/** The examples that are shipped, as real gateways on the addresses of a test: host and port each. */
export interface Behind {
  openclaw: string;
  sidecar: string;
}

const shipped = (file: string) => readFile(join(packageRoot, 'deploy', file), 'utf8');

/** `log`: its access log. */
export async function startShippedNginx({
  openclaw,
  sidecar,
}: Behind): Promise<{ url: string; log: string; nginx: Nginx }> {
  const text = await shipped('nginx/openclaw.conf');
  const log = join(await tempDir('log'), 'openclaw.json');
  const nginx = await startNginxOn((port, dir) => {
    const here = text
      .replace('127.0.0.1:18789', openclaw)
      .replace('127.0.0.1:8181', sidecar)
      .replace('127.0.0.1:8080', `127.0.0.1:${port}`)
      .replace('/var/log/nginx/openclaw.json', log);
    return withinHttp(dir, `access_log off;\n${here}`);
  });
  return { url: nginx.url, log, nginx };
}

export async function startShippedCaddy({ openclaw, sidecar }: Behind): Promise<{ url: string; log: string }> {
  const text = await shipped('caddy/Caddyfile');
  const log = join(await tempDir('log'), 'openclaw.json');
  const { url } = await startCaddyOn((port) =>
    text
      .replace('127.0.0.1:18789', openclaw)
      .replace('127.0.0.1:8181', sidecar)
      .replace('127.0.0.1:8080', `127.0.0.1:${port}`)
      .replace('/var/log/caddy/openclaw.json', log),
  );
  return { url, log };
}

/** It asks one sidecar, or two; `lines` are what it has logged so far. */
export async function startShippedHaproxy(
  first: string,
  second: string,
): Promise<{ url: string; lines: () => string[] }> {
  const text = await shipped('haproxy/haproxy.cfg');
  return startHaproxyOn((port) =>
    text
      .replace('bind 127.0.0.1:8180', `bind 127.0.0.1:${port}`)
      .replace('server first 127.0.0.1:8181', `server first ${first}`)
      .replace('server second 127.0.0.1:8182', `server second ${second}`),
  );
}
