import type { Environment } from './config/environment.ts';

/** What one listener bears. `docs/limits.md` says what happens at each of them. */
export interface ListenerLimits {
  /** Connections at once; one more is closed before a byte of it is read. */
  connections: number;
  /** Requests that are being answered at once, over all connections: a caller may send many on one. */
  requests: number;
  /** From the first byte of a connection or request to the last of its headers. */
  headersMs: number;
  /** The same to the last byte of its body. */
  requestMs: number;
  /**
   * Between two requests. Longer than callers and the proxies before us keep a connection (60 s is usual). With Node's 5 s, a caller
   * whose process is busy for a moment sends its next request into a connection that is just being closed, and cannot know
   * whether it was taken: seen as "other side closed" with 256 callers on a busy machine.
   */
  keepAliveMs: number;
  /** Without a byte in either direction while something is under way, such as an answer that nobody reads. */
  silenceMs: number;
}

export const DEFAULT_LIMITS: ListenerLimits = {
  connections: 10_000,
  requests: 5_000,
  headersMs: 10_000,
  requestMs: 60_000,
  keepAliveMs: 75_000,
  silenceMs: 600_000,
};

/** `silenceMs`: longer than the longest that the service works on one answer. */
export const listenerLimits = (environment: Environment, silenceMs: number): ListenerLimits => ({
  connections: environment.MAX_CONNECTIONS,
  requests: environment.MAX_REQUESTS_IN_FLIGHT,
  headersMs: environment.HEADERS_TIMEOUT_MS,
  requestMs: environment.REQUEST_TIMEOUT_MS,
  keepAliveMs: environment.KEEP_ALIVE_TIMEOUT_MS,
  silenceMs,
});
