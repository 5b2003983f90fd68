import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../../test/helpers/free-port.ts';
import { type Redis, startRedis } from '../redis.ts';
import type { System } from '../system.ts';
import type { Tools } from '../tools.ts';
import { startSidecar } from './sidecar.ts';

const SLOTS = 16_384;
const MASTERS = 3;

/** A Redis Cluster of three masters beside the one sidecar: what it costs to have the tenants in 64 partitions. */
export const oursOnCluster: System = {
  name: 'ours-cluster',
  title: 'this project, Redis Cluster of three masters',
  async start(tools) {
    const nodes = await startCluster(tools);
    const urls = nodes.map(({ url }) => url).join(',');
    const { program, ...sidecar } = await startSidecar({ tools, env: { REDIS_CLUSTER_URLS: urls } });
    return {
      ...sidecar,
      pids: { server: [program.pid], store: nodes.map(({ pid }) => pid) },
      async stop() {
        await sidecar.stop();
        await Promise.all(nodes.map((node) => node.stop()));
      },
    };
  },
};

async function startCluster(tools: Tools): Promise<Redis[]> {
  const nodes: Redis[] = [];
  const edge = (index: number) => Math.round((index * SLOTS) / MASTERS);
  for (let index = 0; index < MASTERS; index++) {
    // Its usual port, ten thousand above the other, is beyond the last for some.
    const bus = String(await freePort());
    const node = await startRedis(tools, ['--cluster-enabled', 'yes', '--cluster-port', bus]);
    await node.ask('CLUSTER', 'ADDSLOTSRANGE', String(edge(index)), String(edge(index + 1) - 1));
    if (nodes[0]) await nodes[0].ask('CLUSTER', 'MEET', '127.0.0.1', String(node.port), bus);
    nodes.push(node);
  }
  const isWhole = async (node: Redis) => {
    const info = String(await node.ask('CLUSTER', 'INFO'));
    return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${MASTERS}\r`);
  };
  while (!(await Promise.all(nodes.map(isWhole))).every(Boolean)) await sleep(100);
  return nodes;
}
