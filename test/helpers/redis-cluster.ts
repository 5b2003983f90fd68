import { createClient } from 'redis';
import { slotOf } from '../../sidecar/counters/redis/cluster-slot.ts';
import { eventually } from './eventually.ts';
import { onFreePort } from './free-port.ts';
import { type RedisServer, startRedis } from './redis-server.ts';

export interface RedisClusterOptions {
  /** Number of masters, default 3. */
  masters?: number;
  /** More of redis-server's own flags, for every node. */
  args?: string[];
}

const SLOTS = 16_384;

/** A node that does not answer for so long is passed over. */
const ANSWER_MS = 2_000;

/** Real redis-servers on loopback ports that are one cluster. Without replicas at first: who dies takes its slots along. */
export class RedisCluster {
  readonly nodes: RedisServer[] = [];
  readonly #ids = new Map<RedisServer, string>();
  readonly #args: string[];

  constructor(args: string[]) {
    this.#args = args;
  }

  /** One more, which every node knows. It holds no slots yet, and can become a master or a replica. */
  async addNode(): Promise<RedisServer> {
    const { busPort, node } = await startNode(this.#args);
    const [first] = this.nodes;
    if (first) await ask(first, ['CLUSTER', 'MEET', node.host, String(node.port), String(busPort)]);
    this.nodes.push(node);
    this.#ids.set(node, (await ask(node, ['CLUSTER', 'MYID'])) as string);
    return node;
  }

  /** Makes a node that holds no slots the replica of a master, and waits until it has its data. */
  async replicate(node: RedisServer, master: RedisServer): Promise<void> {
    await eventually(() => ask(node, ['CLUSTER', 'REPLICATE', this.#id(master)]));
    await eventually(async () => {
      if (!String(await ask(node, ['INFO', 'replication'])).includes('master_link_status:up'))
        throw new Error('not yet');
    });
  }

  get urls(): string[] {
    return this.nodes.map(({ url }) => url);
  }

  slotOf(key: string): number {
    return slotOf(key);
  }

  /** The master that holds the key's slot, as the first node sees it that answers. */
  ownerOf(key: string): Promise<RedisServer> {
    return this.#ownerOfSlot(slotOf(key));
  }

  /** A key like `{t17}` that this node holds; another one for each `nth`. */
  async keyOn(node: RedisServer, nth = 0): Promise<string> {
    const ranges = await this.#ranges();
    const mine = ranges.filter(({ port }) => port === node.port);
    let left = nth;
    for (let count = 0; ; count++) {
      const key = `{t${count}}`;
      const slot = slotOf(key);
      if (mine.some(({ from, to }) => from <= slot && slot <= to) && left-- === 0) return key;
    }
  }

  /** Asks the master that holds the key's slot. Redirections are thrown as the `ErrorReply` that they are. */
  async send(key: string, command: string[]): Promise<unknown> {
    return ask(await this.ownerOf(key), command);
  }

  /** Asks each node, in the order of `nodes`. */
  sendAll(command: string[]): Promise<unknown[]> {
    return Promise.all(this.nodes.map((node) => ask(node, command)));
  }

  async flushAll(): Promise<void> {
    await this.sendAll(['FLUSHALL']);
  }

  /** As `redis-cli --cluster reshard` does it. */
  async moveSlot(slot: number, to: RedisServer): Promise<void> {
    await this.beginMove(slot, to);
    while (await this.moveKeys(slot, to, 100));
    await this.finishMove(slot, to);
  }

  /** From here on the old owner answers ASK for the keys that it does not hold, and `to` serves those who were asked. */
  async beginMove(slot: number, to: RedisServer): Promise<void> {
    const from = await this.#ownerOfSlot(slot);
    await ask(to, ['CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', this.#id(from)]);
    await ask(from, ['CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', this.#id(to)]);
  }

  /** Moves up to `count` keys, in the order in which the server names them; resolves with how many there were. */
  async moveKeys(slot: number, to: RedisServer, count: number): Promise<number> {
    const from = await this.#ownerOfSlot(slot);
    const keys = (await ask(from, ['CLUSTER', 'GETKEYSINSLOT', String(slot), String(count)])) as string[];
    if (keys.length) await this.moveTheseKeys(keys, to);
    return keys.length;
  }

  /** Moves these keys of one slot that is on the move. */
  async moveTheseKeys(keys: string[], to: RedisServer): Promise<void> {
    const from = await this.ownerOf(keys[0] as string);
    await ask(from, ['MIGRATE', to.host, String(to.port), '', '0', '5000', 'KEYS', ...keys]);
  }

  /** The new owner is told first, so that at no moment nobody holds the slot. */
  async finishMove(slot: number, to: RedisServer): Promise<void> {
    const from = await this.#ownerOfSlot(slot);
    const others = this.nodes.filter((node) => node !== to && node !== from);
    for (const node of [to, from, ...others]) {
      await ask(node, ['CLUSTER', 'SETSLOT', String(slot), 'NODE', this.#id(to)]);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  #id(node: RedisServer): string {
    const id = this.#ids.get(node);
    if (!id) throw new Error(`no node of this cluster: ${node.url}`);
    return id;
  }

  async #ownerOfSlot(slot: number): Promise<RedisServer> {
    const range = (await this.#ranges()).find(({ from, to }) => from <= slot && slot <= to);
    const owner = this.nodes.find(({ port }) => port === range?.port);
    if (!owner) throw new Error(`nobody holds slot ${slot}`);
    return owner;
  }

  async #ranges(): Promise<SlotRange[]> {
    let failure: unknown;
    for (const node of this.nodes) {
      try {
        return await slotRanges(node);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }
}

/** One command over a connection of its own, which no other command shares. Throws `ErrorReply` where the node refuses it. */
export async function ask(node: RedisServer, ...commands: [string[], ...string[][]]): Promise<unknown> {
  const socket = { reconnectStrategy: false as const, socketTimeout: ANSWER_MS };
  const client = createClient({ url: node.url, socket }).on('error', () => undefined);
  try {
    await client.connect();
    const replies = await Promise.all(commands.map((command) => client.sendCommand(command)));
    return replies.at(-1);
  } finally {
    client.destroy();
  }
}

/** Started with all slots spread evenly, and every node knowing all others. Ended with the test, or with the file that starts it in a `beforeAll`. */
export async function startRedisCluster({ args = [], masters = 3 }: RedisClusterOptions = {}): Promise<RedisCluster> {
  const cluster = new RedisCluster(args);
  const edge = (count: number) => Math.round((count * SLOTS) / masters);
  for (let index = 0; index < masters; index++) {
    const node = await cluster.addNode();
    await ask(node, ['CLUSTER', 'ADDSLOTSRANGE', String(edge(index)), String(edge(index + 1) - 1)]);
  }
  await untilWhole(cluster);
  return cluster;
}

/** Resolves when every node says that all is well, and knows every other one. */
export async function untilWhole({ nodes }: RedisCluster): Promise<void> {
  const whole = async (node: RedisServer) => {
    const info = String(await ask(node, ['CLUSTER', 'INFO']));
    const well = info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes.length}\r`);
    const located = (await slotRanges(node)).every(({ host }) => host);
    if (!well || !located) throw new Error(`${node.url} says:\n${info}`);
  };
  await eventually(() => Promise.all(nodes.map(whole)), { timeoutMs: 30_000, intervalMs: 50 });
}

/** The bus takes a port of its own: ten thousand above the other is beyond the last for some. */
async function startNode(args: string[]): Promise<{ node: RedisServer; busPort: number }> {
  const start = async (busPort: number) => {
    const flags = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), ...args];
    return { node: await startRedis({ args: flags }), busPort };
  };
  return onFreePort(start, (error) => /Address already in use/.test(String(error)));
}

interface SlotRange {
  from: number;
  to: number;
  /** Empty as long as the node does not know it. */
  host: string;
  port: number;
}

async function slotRanges(node: RedisServer): Promise<SlotRange[]> {
  const reply = (await ask(node, ['CLUSTER', 'SLOTS'])) as [number, number, [string, number]][];
  return reply.map(([from, to, [host, port]]) => ({ from, to, host, port }));
}
