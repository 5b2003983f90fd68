import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type Direction, Faults } from './proxy-faults.ts';
import { Pipe } from './proxy-pipe.ts';
import { RespSplitter } from './resp-splitter.ts';
import { resetConnection } from './tcp-reset.ts';
import { atTestEnd } from './test-end.ts';

export interface Target {
  host: string;
  port: number;
}

/** A command that is to be swallowed. */
export interface Drop {
  /** Resolves with the command's name and arguments when it has happened. */
  dropped: Promise<string[]>;
}

interface Connection {
  toServer: Pipe;
  toClient: Pipe;
  reset(): void;
}

/** Looks at a command on its way to the server; it and what follows on its connection wait for what this resolves with. */
type Watcher = (command: string[]) => Promise<void>;

interface AwaitedDrop {
  name: string;
  happened: (command: string[]) => void;
}

/**
 * A TCP proxy on a loopback port that does to connections what networks do. Faults hold for connections that are open
 * and those to come, until `heal`.
 */
export class FaultProxy {
  readonly host = '127.0.0.1';
  readonly #target: Target;
  readonly #faults = { toServer: new Faults(), toClient: new Faults() };
  readonly #connections = new Set<Connection>();
  readonly #server: Server;
  #port = 0;
  #drops: AwaitedDrop[] = [];
  readonly #watchers = new Map<string, Watcher>();

  constructor(target: Target) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
  }

  async listen(): Promise<this> {
    this.#server.listen(0, this.host);
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  get port(): number {
    return this.#port;
  }

  /** A URL of the target, led through the proxy. */
  url(target: string): string {
    const url = new URL(target);
    url.hostname = this.host;
    url.port = String(this.port);
    return url.href;
  }

  /** Keeps back what comes in this direction, until `release`. */
  hold(direction: Direction): void {
    this.#faults[direction].hold();
  }

  /** Lets pass, in order, what was held back. */
  release(): void {
    for (const faults of this.#both) faults.release();
  }

  /** Every byte arrives this much later, in both directions. */
  delay(milliseconds: number): void {
    for (const faults of this.#both) faults.delayMs = milliseconds;
  }

  /** Nothing arrives any more and nobody is told: open connections stay open, new ones are accepted. */
  blackhole(): void {
    for (const faults of this.#both) faults.swallow = true;
  }

  /**
   * Lets this many more bytes pass in this direction, counted over all connections. The connection that reaches it is
   * then cut: the receiver sees its end after the last of these bytes, the sender a reset.
   */
  cutAfter(bytes: number, direction: Direction): void {
    this.#faults[direction].bytesLeft = bytes;
  }

  /**
   * Swallows the next Redis command of this name on its way to the server. As TCP delivers nothing after a gap, all
   * that follows on the same connection is swallowed too; other connections are not touched.
   */
  dropCommand(name: string): Drop {
    return {
      dropped: new Promise((happened) => {
        this.#drops.push({ name: name.toUpperCase(), happened });
      }),
    };
  }

  /** Shows every Redis command of this name to `watcher` before it goes on. Not a fault: it stays over `heal`. */
  watchCommand(name: string, watcher: Watcher): void {
    this.#watchers.set(name.toUpperCase(), watcher);
  }

  /** Breaks all open connections with a TCP reset. */
  reset(): void {
    for (const connection of this.#connections) connection.reset();
  }

  /** Ends all faults. Connections that have lost bytes are reset, for they cannot go on. */
  heal(): void {
    for (const faults of this.#both) faults.clear();
    this.#drops = [];
    for (const connection of this.#connections) {
      if (connection.toServer.broken || connection.toClient.broken) connection.reset();
    }
  }

  /** Resets what is open and accepts nothing more. Closing twice is allowed. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.reset();
    await closed;
  }

  get #both(): Faults[] {
    return [this.#faults.toServer, this.#faults.toClient];
  }

  #accept(client: Socket): void {
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const reset = () => {
      resetConnection(client);
      resetConnection(server);
    };
    const toServer = new Pipe(server, this.#faults.toServer, () => resetConnection(client));
    const toClient = new Pipe(client, this.#faults.toClient, () => resetConnection(server));
    const connection = { toServer, toClient, reset };
    this.#connections.add(connection);
    const commands = new RespSplitter();
    client.on('data', (chunk) => this.#send(commands, toServer, chunk)).on('end', () => toServer.end());
    server.on('data', (chunk) => toClient.write(chunk)).on('end', () => toClient.end());
    for (const socket of [client, server]) {
      socket.on('error', reset);
      socket.on('close', () => {
        if (client.destroyed && server.destroyed) this.#connections.delete(connection);
      });
    }
  }

  #send(commands: RespSplitter, toServer: Pipe, chunk: Buffer): void {
    for (const { bytes, command } of commands.push(chunk)) {
      const drop = command && this.#takeDrop(command);
      if (drop) {
        toServer.broken = true;
        drop.happened(command);
      } else {
        toServer.write(bytes, this.#watched(command));
      }
    }
  }

  #watched(command: string[] | undefined): Promise<void> | undefined {
    return command && this.#watchers.get(command[0]?.toUpperCase() ?? '')?.(command);
  }

  #takeDrop(command: string[]): AwaitedDrop | undefined {
    const index = this.#drops.findIndex(({ name }) => name === command[0]?.toUpperCase());
    return index < 0 ? undefined : this.#drops.splice(index, 1)[0];
  }
}

/** Listens on a free loopback port; closed with the test. */
export async function startProxy({ target }: { target: Target }): Promise<FaultProxy> {
  const proxy = await new FaultProxy(target).listen();
  atTestEnd(() => proxy.close());
  return proxy;
}
