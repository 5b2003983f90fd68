import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A connection on which anything can be sent, and all that comes back is kept. */
export class RawSocket {
  readonly #socket: Socket;
  #said = '';
  #isOver = false;
  #look: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.#said += chunk.toString('latin1');
      this.#look();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#isOver = true;
      this.#look();
    });
  }

  /** `from`: an address of this machine. */
  static async open(url: string, from = '127.0.0.1'): Promise<RawSocket> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), localAddress: from });
    const raw = new RawSocket(socket);
    await once(socket, 'connect');
    return raw;
  }

  get said(): string {
    return this.#said;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Of each answer that has come, in order. */
  get statuses(): number[] {
    return [...this.#said.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
  }

  write(bytes: string | Buffer): this {
    this.#socket.write(bytes);
    return this;
  }

  /** Sends no more, and goes on reading. */
  half(): this {
    this.#socket.end();
    return this;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** As a cable that is pulled, or a process that is killed: the other side is told nothing in order. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Resolves when the other side has ended it. */
  over(withinMs = 20_000): Promise<this> {
    return this.until(() => this.#isOver, withinMs);
  }

  /** Resolves when so many answers have come, or the connection has ended. */
  answers(count: number, withinMs = 20_000): Promise<this> {
    return this.until(() => this.#isOver || this.statuses.length >= count, withinMs);
  }

  until(isSo: () => boolean, withinMs: number): Promise<this> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`after ${withinMs} ms: ${this.#said.slice(-300)}`)), withinMs);
      this.#look = () => {
        if (!isSo()) return;
        clearTimeout(timer);
        this.#look = () => {};
        resolve(this);
      };
      this.#look();
    });
  }
}
