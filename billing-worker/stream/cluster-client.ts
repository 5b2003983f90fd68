import { createCluster } from 'redis';
import type { Log } from '../../runtime/log.ts';

export type Cluster = ReturnType<typeof newCluster>;

type NodeClient = Awaited<ReturnType<Cluster['getNodeClientForKey']>>;

interface NodeAddress {
  host: string;
  port: number;
}

/** Longer than a thousand entries take over a slow line. */
const ANSWER_MS = 8_000;

/** A quiet connection whose other end is gone without a word is given up after this; pings keep a good one. */
const SILENCE_MS = 6_000;
const PING_MS = 2_000;

/**
 * One connection to each master of a Redis Cluster, made when it is first needed, and then again for as long as it takes.
 * MOVED and ASK are followed by the client library; TRYAGAIN is answered only to commands with more than one key.
 */
export class ClusterClient {
  readonly #cluster: Cluster;
  readonly #log: Log;
  /** Nodes that the log says are away. */
  readonly #said = new Set<string>();
  #connecting: Promise<unknown> | undefined;
  #discoveryError: unknown;
  #closed = false;

  constructor(urls: string[], log: Log) {
    this.#cluster = newCluster(urls);
    this.#log = log;
    this.#cluster.on('error', (error: unknown) => {
      this.#discoveryError = error;
    });
    this.#cluster.on('node-error', (error: Error, node: NodeAddress) => this.#lost(error, node));
    this.#cluster.on('node-ready', (node: NodeAddress) => this.#back(node));
  }

  /**
   * Asks the node that holds a key. Throws at once while there is no connection to it, and after some seconds if it does
   * not answer: it may have carried out the question all the same.
   */
  async ask<Answer>(key: string, question: (cluster: Cluster) => Promise<Answer>): Promise<Answer> {
    await this.#connected();
    let node: NodeClient | undefined;
    let timer: NodeJS.Timeout | undefined;
    let inTime = true;
    const asking = async () => {
      // While the first connection to a node is made, the library would keep the question until there is one.
      node = await this.#cluster.getNodeClientForKey(key, false);
      if (!node.isReady || !inTime) throw new Error(`there is no connection to the cluster node of ${key}`);
      return question(this.#cluster);
    };
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the cluster node of ${key} does not answer`)), ANSWER_MS);
    });
    try {
      return await Promise.race([asking(), late.catch((error) => this.#reconnect(node, error))]);
    } finally {
      inTime = false;
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cluster.destroy();
  }

  async #connected(): Promise<void> {
    if (this.#closed) throw new Error('the connection to the Redis Cluster is closed');
    if (this.#cluster.isReady) return;
    this.#connecting ??= this.#cluster.connect().finally(() => {
      this.#connecting = undefined;
    });
    try {
      await this.#connecting;
    } catch (error) {
      throw new Error('no node of REDIS_CLUSTER_URLS can be asked', { cause: this.#discoveryError ?? error });
    }
  }

  /** Whoever writes to a connection starts its time limit anew, so a dead one in use would be kept for ever. */
  #reconnect(node: NodeClient | undefined, error: Error): never {
    if (node?.isReady) {
      node.destroy();
      node.connect().catch(() => {});
    }
    throw error;
  }

  #lost(err: Error, { host, port }: NodeAddress): void {
    const node = `${host}:${port}`;
    if (this.#said.has(node)) return;
    this.#said.add(node);
    this.#log.error({ err, node }, 'a node of the Redis Cluster cannot be reached; trying on');
  }

  #back({ host, port }: NodeAddress): void {
    const node = `${host}:${port}`;
    if (this.#said.delete(node)) this.#log.info({ node }, 'a node of the Redis Cluster is back');
  }
}

function newCluster(urls: string[]) {
  return createCluster({
    rootNodes: urls.map((url) => ({ url })),
    // Only what is asked connects: a node that is away would keep all others waiting.
    minimizeConnections: true,
    defaults: {
      ...access(urls[0] as string),
      disableOfflineQueue: true,
      pingInterval: PING_MS,
    },
  });
}

/** The nodes that these name are connected to in the same way. */
function access(url: string) {
  const { password, protocol, username } = new URL(url);
  return {
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
    socket: {
      ...(protocol === 'rediss:' && { tls: true as const }),
      connectTimeout: 5_000,
      socketTimeout: SILENCE_MS,
      reconnectStrategy: (tries: number) => Math.min(50 * 2 ** tries, 1_000),
    },
  };
}
