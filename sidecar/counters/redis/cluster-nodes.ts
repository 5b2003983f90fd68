import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from '../../../runtime/config/config-error.ts';
import type { Log } from '../../../runtime/log.ts';
import { type Address, SlotMap } from './cluster-map.ts';
import { readSlots } from './cluster-seed.ts';
import { withDeadline } from './deadline.ts';
import { ServerConnection, type ServerGuard } from './server-connection.ts';
import type { Ask } from './server-settings.ts';

export interface ClusterGuard extends Omit<ServerGuard, 'check'> {
  /** As a `ServerGuard`, for each of the nodes. `server`: its `host:port`. */
  check(ask: Ask, server: string): Promise<void>;
}

export interface ClusterOptions {
  /** Some of its nodes. The first one's user and password hold for all nodes, and `rediss:` for all connections. */
  urls: string[];
  timeoutMs: number;
  log: Log;
  guard?: ClusterGuard | undefined;
}

interface Node {
  connection: ServerConnection;
  /** Resolves when the first attempt to connect is over. */
  opened: Promise<void>;
}

/** As long as something is wrong, the map is read this often, less up to half, so that many sidecars do not ask together. */
const LOOK_MS = 1_000;

/**
 * One connection to each master, and the map that says which of them holds a slot. Who is away is connected to as soon
 * as it is there; the map is read anew when a node says that a slot has moved, and once a second while something is wrong.
 */
export class ClusterNodes {
  readonly #options: ClusterOptions;
  readonly #map = new SlotMap();
  readonly #nodes = new Map<Address, Node>();
  readonly #end = new AbortController();
  #looking: Promise<void> | undefined;
  #doubtful = false;
  #opening = true;
  #away = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  /** Resolves when each master was tried once. Throws `ConfigError` if what is there is no cluster, or must not be used. */
  async open(): Promise<void> {
    try {
      await this.#look();
      await this.#allOpened();
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      this.#opening = false;
    }
    void this.#goOnLooking();
  }

  /** Who holds the slot; undefined if nobody is known to. */
  ownerOf(slot: number): Address | undefined {
    return this.#map.ownerOf(slot);
  }

  /** The connection to a node, after it was first tried. It can be one that is in no map: a new master has no slots yet. */
  async at(address: Address): Promise<ServerConnection> {
    const { connection, opened } = this.#node(address);
    await opened.catch(() => {});
    return connection;
  }

  moved(slot: number, to: Address): void {
    this.#map.move(slot, to);
    this.#look().catch(() => {});
  }

  /** A node gave no answer, or none that helps: the slot may have been taken over. */
  doubt(): void {
    this.#doubtful = true;
  }

  async close(): Promise<void> {
    this.#end.abort();
    await Promise.all([...this.#nodes.values()].map(({ connection }) => connection.close()));
    this.#nodes.clear();
  }

  #node(address: Address): Node {
    const known = this.#nodes.get(address);
    if (known) return known;
    if (this.#end.signal.aborted) throw new Error('it is closed');
    const { guard, log, timeoutMs, urls } = this.#options;
    const connection = new ServerConnection({
      url: urlOf(urls[0] as string, address),
      name: `Redis node ${address}`,
      timeoutMs,
      log,
      guard: guard && {
        check: (ask) => guard.check(ask, address),
        everyMs: guard.everyMs,
        refuse: (error) => guard.refuse(error),
      },
    });
    const node = { connection, opened: connection.open() };
    this.#nodes.set(address, node);
    node.opened.catch((error: ConfigError) => {
      if (!this.#opening) this.#refuse(error);
    });
    return node;
  }

  async #allOpened(): Promise<void> {
    const results = await Promise.allSettled([...this.#nodes.values()].map(({ opened }) => opened));
    const problems = results.flatMap((result) => (result.status === 'rejected' ? result.reason.problems : []));
    if (problems.length) throw new ConfigError(problems);
  }

  async #goOnLooking(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      await sleep(LOOK_MS * (1 - Math.random() / 2), undefined, { ref: false, signal }).catch(() => {});
      if (signal.aborted || !this.#wrong()) continue;
      await this.#look().catch((error: ConfigError) => this.#refuse(error));
    }
  }

  #wrong(): boolean {
    return (
      this.#doubtful || !this.#map.whole || [...this.#nodes.values()].some(({ connection }) => !connection.isReady)
    );
  }

  /** Reads the map, once for all who want it at the same time. Throws `ConfigError` if this is no cluster. */
  #look(): Promise<void> {
    this.#looking ??= this.#readMap().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #readMap(): Promise<void> {
    this.#doubtful = false;
    try {
      const { asked, reply } = await this.#fromNodes().catch(() => readSlots(this.#options));
      if (this.#end.signal.aborted) return;
      this.#map.replace(reply, asked);
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      this.#doubtful = true;
      if (!this.#away && !this.#nodes.size) {
        this.#options.log.error({ err: error }, 'Redis Cluster cannot be reached; trying on');
        this.#away = true;
      }
      return;
    }
    if (this.#away) this.#options.log.info('Redis Cluster is back');
    this.#away = false;
    for (const address of this.#map.masters) this.#node(address);
    for (const [address, node] of this.#nodes) if (!this.#map.masters.has(address)) void this.#leave(address, node);
  }

  /** Asks two that are connected, so that one which has just frozen does not matter. */
  #fromNodes(): Promise<{ asked: Address; reply: unknown }> {
    const ready = [...this.#nodes].filter(([, { connection }]) => connection.isReady);
    const some = ready.sort(() => Math.random() - 0.5).slice(0, 2);
    const ask = async ([asked, { connection }]: [Address, Node]) => {
      const work = (signal: AbortSignal) => connection.ask([['CLUSTER', 'SLOTS']], signal);
      return { asked, reply: await withDeadline(this.#options.timeoutMs, work) };
    };
    return Promise.any(some.map(ask));
  }

  /** Who holds no slot and cannot be reached is not waited for. Who can be reached may be about to get its first slot. */
  async #leave(address: Address, { connection, opened }: Node): Promise<void> {
    await opened.catch(() => {});
    if (connection.isReady || this.#map.masters.has(address)) return;
    if (this.#nodes.get(address)?.connection !== connection) return;
    this.#nodes.delete(address);
    this.#options.log.info(`Redis node ${address} holds no slot and is gone; no longer tried`);
    await connection.close();
  }

  #refuse(error: ConfigError): void {
    if (this.#options.guard) this.#options.guard.refuse(error);
    else this.#options.log.error(error.message);
  }
}

function urlOf(like: string, address: Address): string {
  const url = new URL(like);
  url.host = address;
  url.pathname = '';
  return url.href;
}
