import { connect, type Socket } from 'node:net';
import { type Answer, AnswerReader } from './answer-reader.ts';

/** What becomes of what was sent: an answer each, or an end without one. */
export type Outcome = Answer | 'closed';

export interface Sent {
  bytes: Buffer;
  toHead: boolean;
}

interface Waiting {
  toHead: boolean;
  resolve(outcome: Outcome): void;
  reject(error: Error): void;
}

/** A kept connection on which several requests may be under way; made anew when the server ends it. */
export class Connection {
  readonly #port: number;
  readonly #deadlineMs: number;
  #socket: Socket | undefined;
  #reader = new AnswerReader();
  #waiting: Waiting[] = [];

  constructor(port: number, deadlineMs: number) {
    this.#port = port;
    this.#deadlineMs = deadlineMs;
  }

  /** Sends all of them at once. Rejects if one is not answered in time, or by what is no HTTP. */
  async send(requests: readonly Sent[]): Promise<Outcome[]> {
    const outcomes = requests.map(
      ({ toHead }) =>
        new Promise<Outcome>((resolve, reject) => {
          this.#waiting.push({ toHead, resolve, reject });
        }),
    );
    const late = setTimeout(() => this.#fail(new Error(`no answer within ${this.#deadlineMs} ms`)), this.#deadlineMs);
    this.#open().write(Buffer.concat(requests.map(({ bytes }) => bytes)));
    try {
      return await Promise.all(outcomes);
    } finally {
      clearTimeout(late);
    }
  }

  /** Says no more, as a client that has gone. What it waits for is closed. */
  end(): void {
    this.#socket?.destroy();
  }

  #open(): Socket {
    if (this.#socket) return this.#socket;
    const socket = connect(this.#port, '127.0.0.1');
    this.#socket = socket;
    this.#reader = new AnswerReader();
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#read(chunk));
    // A reset is an end like any other; whether it may come is for the caller to judge.
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.#socket === socket) this.#closed();
    });
    return socket;
  }

  #read(chunk: Buffer): void {
    this.#reader.push(chunk);
    try {
      for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
        const answer = this.#reader.next(first.toHead);
        if (!answer) return;
        this.#waiting.shift();
        first.resolve(answer);
        if (answer.headers.get('connection') === 'close') {
          this.#leave();
          return;
        }
      }
      if (this.#reader.rest > 0) throw new Error('an answer that nobody asked for');
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  /** The server has said that it ends the connection: what is behind it will not be answered. */
  #leave(): void {
    this.#socket?.destroy();
    this.#reader = new AnswerReader();
    this.#closed();
  }

  #closed(): void {
    this.#socket = undefined;
    const half = this.#reader.rest > 0 ? new Error('the connection ended in the middle of an answer') : undefined;
    for (const { reject, resolve } of this.#waiting.splice(0)) half ? reject(half) : resolve('closed');
  }

  #fail(error: Error): void {
    const waiting = this.#waiting.splice(0);
    this.#socket?.destroy();
    this.#socket = undefined;
    for (const { reject } of waiting) reject(error);
  }
}
