import type { Tools } from './tools.ts';

/**
 * What is asked again and again. In `path` and `body`, `{0}` stands for the number of the caller, seven digits long, `{1}` for
 * the one of the caller after, and so on; `{new}` for a number that was never asked with before.
 */
export interface Question {
  method: 'GET' | 'POST';
  path: string;
  headers?: Record<string, string>;
  body?: string;
  /** That one request asks for: as many `{0}`, `{1}` … there are. */
  decisions: number;
}

/** Which caller is next: one after the other, any of them alike, or the n-th with a chance of 1 in n. */
export type Order = 'in turn' | 'uniform' | 'zipf';

/** A system that runs and waits to be asked. */
export interface Running {
  /** `http://127.0.0.1:<port>` */
  url: string;
  question: Question;
  /** What the text of an answer has in it once for each decision that is granted. Every decision of the load must be. */
  granted: string;
  pids: { server: number[]; store: number[] };
  /** Throws unless its limits truly refuse. Systems without limits have none. */
  prove?(): Promise<void>;
  /** How many decisions it says itself that it has granted, in each of its books, since it was started. */
  books?(): Promise<Record<string, number>>;
  /** How many requests its store was asked over HTTP, since it was started. */
  storeRequests?(): Promise<number>;
  /** What is done by others in production, and must not pile up here: after each round, off the clock. */
  tidy?(): Promise<void>;
  /** The end of what it logged, for whoever wonders what went wrong. */
  said?(): string;
  stop(): Promise<void>;
}

export interface System {
  /** For `--only`, and in the results. */
  name: string;
  /** Of its row. */
  title: string;
  /** Of the load, default 64. */
  connections?: number;
  /** How many callers there are, default 1,000. */
  callers?: number;
  order?: Order;
  /** Throws `LeftOut` if it cannot be had on this machine. */
  start(tools: Tools): Promise<Running>;
}

/** This machine cannot have it; the message says why. */
export class LeftOut extends Error {
  override readonly name = 'LeftOut';
}
