import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onFreePort } from '../../../test/helpers/free-port.ts';
import { ask, mustRefuseAfter } from '../ask.ts';
import { Program } from '../program.ts';
import type { System } from '../system.ts';

const granted = '"result":true';
const BURST_OF_POOR = 2;

/** `return` would answer before the limit is looked at: a file is served instead. */
const config = (port: number) => `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes auto;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  default_type application/json;
  client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
  keepalive_requests 1000000000;
  open_file_cache max=10;
  limit_req_zone $http_x_tenant zone=load:64m rate=1000000r/s;
  limit_req_zone $http_x_tenant zone=poor:1m rate=1r/m;
  limit_req_status 429;
  server {
    listen 127.0.0.1:${port};
    root html;
    location = /allow { limit_req zone=load burst=1000000 nodelay; }
    location = /poor { limit_req zone=poor burst=${BURST_OF_POOR} nodelay; }
  }
}
`;

/** The near-physical limit: one limit for each tenant in shared memory, nothing read and nothing decided. */
export const nginx: System = {
  name: 'nginx',
  title: 'nginx `limit_req`, GET without a body, one limit',
  async start(tools) {
    const command = await tools.bring('nginx');
    const root = await mkdtemp(join(tools.folder, 'nginx-'));
    await mkdir(join(root, 'html'));
    for (const name of ['allow', 'poor']) await writeFile(join(root, 'html', name), '{"result":true}');
    const { program, url } = await onFreePort(
      async (port) => {
        const url = `http://127.0.0.1:${port}`;
        await writeFile(join(root, 'nginx.conf'), config(port));
        const args = ['-p', root, '-c', join(root, 'nginx.conf')];
        return { url, program: await Program.start(command, { args, cwd: root, ready: `${url}/allow` }) };
      },
      (error) => /Address already in use/.test(String(error)),
    );
    const poor = () => ask(`${url}/poor`, undefined, { 'X-Tenant': 'poor' });
    return {
      url,
      granted,
      question: { method: 'GET', path: '/allow', headers: { 'X-Tenant': 'tenant_{0}' }, decisions: 1 },
      pids: { server: [program.pid], store: [] },
      prove: () => mustRefuseAfter(BURST_OF_POOR + 1, poor, granted),
      stop: () => program.stop(),
    };
  },
};
