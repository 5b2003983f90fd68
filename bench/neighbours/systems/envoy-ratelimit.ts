import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../../test/helpers/free-port.ts';
import { ask, mustRefuseAfter } from '../ask.ts';
import { Program } from '../program.ts';
import { startRedis } from '../redis.ts';
import { LeftOut, type System } from '../system.ts';
import type { Tools } from '../tools.ts';

const granted = '"overallCode":"OK"';
const ROOM_OF_POOR = 3;

const CONFIG = `domain: load
descriptors:
  - key: tenant_id
    rate_limit: { unit: day, requests_per_unit: 1000000000 }
  - key: poor
    rate_limit: { unit: day, requests_per_unit: ${ROOM_OF_POOR} }
`;

const body = (key: string, value: string) =>
  `{"domain":"load","descriptors":[{"entries":[{"key":"${key}","value":"${value}"}]}]}`;

/** Envoy's rate limit service with one limit for each tenant, as many connections to Redis as the load has to it. */
export const envoyRatelimit: System = {
  name: 'envoy-ratelimit',
  title: 'Envoy ratelimit over HTTP, one limit',
  async start(tools) {
    const command = await brought(tools);
    const redis = await startRedis(tools);
    const root = await mkdtemp(join(tools.folder, 'envoy-ratelimit-'));
    await mkdir(join(root, 'config'));
    await writeFile(join(root, 'config', 'load.yaml'), CONFIG);
    const [http, grpc, debug] = [await freePort(), await freePort(), await freePort()];
    const url = `http://127.0.0.1:${http}`;
    const env = {
      HOST: '127.0.0.1',
      PORT: String(http),
      GRPC_HOST: '127.0.0.1',
      GRPC_PORT: String(grpc),
      DEBUG_HOST: '127.0.0.1',
      DEBUG_PORT: String(debug),
      RUNTIME_ROOT: root,
      RUNTIME_WATCH_ROOT: 'false',
      REDIS_SOCKET_TYPE: 'tcp',
      REDIS_URL: `127.0.0.1:${redis.port}`,
      REDIS_POOL_SIZE: '64',
      USE_STATSD: 'false',
      LOG_LEVEL: 'error',
    };
    const program = await Program.start(command, { env, cwd: root, ready: `${url}/healthcheck` });
    return {
      url,
      granted,
      question: { method: 'POST', path: '/json', body: body('tenant_id', 'tenant_{0}'), decisions: 1 },
      pids: { server: [program.pid], store: [redis.pid] },
      prove: () => mustRefuseAfter(ROOM_OF_POOR, () => ask(`${url}/json`, body('poor', 'poor')), granted),
      async stop() {
        await program.stop();
        await redis.stop();
      },
    };
  },
};

async function brought(tools: Tools): Promise<string> {
  try {
    return await tools.bring('envoyRatelimit');
  } catch (error) {
    throw new LeftOut(error instanceof Error ? error.message : String(error));
  }
}
