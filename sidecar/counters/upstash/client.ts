import { errors, Redis } from '@upstash/redis';
import { ErrorReply } from 'redis';

export interface UpstashAccess {
  /** `https://…`, without credentials. */
  url: string;
  token: string;
}

/** Whoever may not write, or has no room to, may not run a script of this kind, whatever it does. */
export const WOULD_WRITE = ['EVAL', '#!lua\nreturn 1', '0'];

/**
 * Sends one command as one HTTP request. Throws an `ErrorReply` where Upstash answers with an error, and another error
 * where it does not answer within `timeoutMs`, or is not who answers.
 */
export type Send = (command: string[]) => Promise<unknown>;

export function upstashClient({ token, url }: UpstashAccess, timeoutMs: number): Send {
  const redis = new Redis({
    url,
    token,
    // What failed may have been executed: sent again, a take without a request id would be charged twice. `retry: false`
    // is not enough, the client then tries a second time all the same.
    retry: { retries: 0 },
    // As a function: of a signal the client takes the end for an answer, null.
    signal: () => AbortSignal.timeout(timeoutMs),
    // Replies as they are. In base64 they are a third longer, and the client cuts off a byte order mark when it decodes.
    automaticDeserialization: false,
    responseEncoding: false,
    enableAutoPipelining: false,
    enableTelemetry: false,
    latencyLogging: false,
  });
  return async (command) => {
    try {
      return await redis.exec(command as [string, ...string[]]);
    } catch (error) {
      throw explained(error as Error, timeoutMs);
    }
  };
}

/** The client ends the message of a command that was refused with the command itself, which is not for a log. */
const COMMAND = ', command was: ';

function explained(error: Error, timeoutMs: number): Error {
  if (error.name === 'TimeoutError') return new Error(`no answer within ${timeoutMs} ms`);
  if (error instanceof errors.UpstashJSONParseError) return new Error('the answer is not JSON, so it is not Upstash’s');
  if (error instanceof errors.UpstashError) {
    const [message] = error.message.split(COMMAND, 1);
    return message === 'undefined' ? new Error('an error without a message') : new ErrorReply(message);
  }
  // What `fetch` itself says is only that it failed.
  const reason = error.cause instanceof Error ? error.cause.message : undefined;
  return reason ? new Error(`${error.message}: ${reason}`) : error;
}
