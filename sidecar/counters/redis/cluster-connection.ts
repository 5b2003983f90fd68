import { setTimeout as sleep } from 'node:timers/promises';
import { ErrorReply } from 'redis';
import type { Log } from '../../../runtime/log.ts';
import { CountersUnavailable } from '../contract.ts';
import { type Address, readRefusal } from './cluster-map.ts';
import { type ClusterGuard, ClusterNodes } from './cluster-nodes.ts';
import { slotOf } from './cluster-slot.ts';
import { type Connection, WOULD_WRITE } from './connection.ts';
import { withDeadline } from './deadline.ts';
import { runScript } from './run-script.ts';

export interface ClusterConnection {
  /**
   * The connection to whatever node holds the key's slot at the moment of a call. `run` goes where the first of its keys
   * lies (where this key does, if it has none), `get` where its own does; `ping` asks for this key. Its `close` does
   * nothing: the nodes are everybody's.
   */
  at(key: string): Connection;
  close(): Promise<void>;
}

/**
 * Connects to all masters of a cluster of which `urls` names some nodes, and keeps the promises of `connectRedis` for each
 * of them: who is away fails the calls for its own slots only, and does not keep the process from starting. Where a
 * node answers that the slot is elsewhere (`MOVED`, `ASK`), on the move (`TRYAGAIN`) or served by nobody
 * (`CLUSTERDOWN`), it has run nothing: the call is sent again until it is taken or its time is over. Nothing else is
 * ever sent twice.
 *
 * Throws `ConfigError` if a server of `urls` is no node of a cluster, or if a master must not be used; what is found later
 * is told to the guard.
 */
export async function connectCluster(
  urls: string[],
  timeoutMs: number,
  log: Log,
  guard?: ClusterGuard,
): Promise<ClusterConnection> {
  const nodes = new ClusterNodes({ urls, timeoutMs, log, guard });
  await nodes.open();
  return new Cluster(nodes, timeoutMs);
}

/** Waits between attempts, in milliseconds; the last one goes on. Each is cut by up to half. */
const PAUSES_MS = [5, 10, 20, 40];

/** So many redirections are followed at once: one from an old map, one of a slot that is on the move. */
const AT_ONCE = 2;

interface Call {
  signal: AbortSignal;
  /** Set while nothing is under way that may have been carried out. */
  refused?: ErrorReply | undefined;
}

/**
 * Not on node-redis's own cluster client (6.3.1). One frozen master keeps its `connect` from ever resolving. Told to
 * connect as needed, it holds a command for a node until it is connected to it, whatever time limit the command has: one was
 * carried out when the node went on, long after. An `ASK` to a new master, which holds no slots yet, fails with `Cannot
 * find node`. And by its source, it looks for who took over from a lost node only if it was connected to that one before.
 */
class Cluster implements ClusterConnection {
  readonly #nodes: ClusterNodes;
  readonly #timeoutMs: number;

  constructor(nodes: ClusterNodes, timeoutMs: number) {
    this.#nodes = nodes;
    this.#timeoutMs = timeoutMs;
  }

  at(key: string): Connection {
    return {
      callsArePaid: false,
      run: (script, keys, args) =>
        this.#within((call) => {
          const send = (command: string[]) => this.#send(keys[0] ?? key, command, call);
          return runScript(send, script, [keys, args], call.signal);
        }),
      get: (own) => this.#within((call) => this.#send(own, ['GET', own], call) as Promise<string | null>),
      getFields: (own, fields) =>
        this.#within((call) => this.#send(own, ['HMGET', own, ...fields], call) as Promise<(string | null)[]>),
      ping: () =>
        this.#within(async (call) => {
          await this.#send(key, ['EVAL', WOULD_WRITE, '1', key], call);
        }),
      close: async () => {},
    };
  }

  close(): Promise<void> {
    return this.#nodes.close();
  }

  async #within<Result>(work: (call: Call) => Promise<Result>): Promise<Result> {
    const call: Call = { signal: new AbortController().signal };
    try {
      return await withDeadline(this.#timeoutMs, (signal) => {
        call.signal = signal;
        return work(call);
      });
    } catch (error) {
      const cause = call.refused ?? error;
      if (!(cause instanceof ErrorReply)) this.#nodes.doubt();
      throw new CountersUnavailable(`Redis Cluster: ${(cause as Error).message}`, { cause });
    }
  }

  /** Sends a command to whoever takes it. */
  async #send(key: string, command: string[], call: Call): Promise<unknown> {
    const slot = slotOf(key);
    let asked: Address | undefined;
    for (let refusals = 0; ; refusals++) {
      const address = asked ?? this.#ownerOf(slot);
      const node = await this.#nodes.at(address);
      call.refused = undefined;
      try {
        return await node.ask(asked ? [['ASKING'], command] : [command], call.signal);
      } catch (error) {
        const refusal = readRefusal(error, address);
        if (!refusal) throw error;
        call.refused = error as ErrorReply;
        asked = refusal.kind === 'ask' ? refusal.address : undefined;
        if (refusal.kind === 'moved') this.#nodes.moved(slot, refusal.address);
        if (refusal.kind === 'later') this.#nodes.doubt();
        if (refusal.kind === 'later' || refusals >= AT_ONCE) await this.#pause(refusals, call);
      }
    }
  }

  #ownerOf(slot: number): Address {
    const owner = this.#nodes.ownerOf(slot);
    if (owner) return owner;
    throw new Error(`nobody is known to hold slot ${slot}`);
  }

  async #pause(refusals: number, call: Call): Promise<void> {
    const longest = PAUSES_MS[Math.min(refusals, PAUSES_MS.length - 1)] as number;
    await sleep(longest * (1 - Math.random() / 2));
    if (call.signal.aborted) throw call.refused;
  }
}
