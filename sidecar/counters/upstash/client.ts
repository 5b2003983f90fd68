import { errors, Redis, type Requester } from '@upstash/redis';
import { ErrorReply } from 'redis';
import { errors as httpErrors } from 'undici';
import { type UpstashAccess, UpstashRequester } from './requester.ts';

/** Whoever may not write, or has no room to, may not run a script of this kind, whatever it does. */
export const WOULD_WRITE = ['EVAL', '#!lua\nreturn 1', '0'];

/**
 * Sends one command as one HTTP request. Throws an `ErrorReply` where Upstash answers with an error, and another error
 * where it does not answer within `timeoutMs`, or is not who answers.
 */
export type Send = (command: string[]) => Promise<unknown>;

export function upstashClient(access: UpstashAccess, timeoutMs: number): Send {
  const redis = new UpstashRedis(access, new UpstashRequester(access, timeoutMs));
  return async (command) => {
    try {
      return await redis.exec(command as [string, ...string[]]);
    } catch (error) {
      throw explained(error as Error, timeoutMs);
    }
  };
}

/** Upstash's client, whose constructor takes either settings or who sends its requests. */
class UpstashRedis extends Redis {
  constructor(access: UpstashAccess, requester: Requester) {
    super({
      ...access,
      // Replies as they are.
      automaticDeserialization: false,
      enableAutoPipelining: false,
      enableTelemetry: false,
      latencyLogging: false,
    });
    this.client = requester;
  }
}

const { BodyTimeoutError, ConnectTimeoutError, HeadersTimeoutError } = httpErrors;
const TIMEOUTS = [BodyTimeoutError, ConnectTimeoutError, HeadersTimeoutError];

function explained(error: Error, timeoutMs: number): Error {
  if (TIMEOUTS.some((kind) => error instanceof kind)) return new Error(`no answer within ${timeoutMs} ms`);
  if (error instanceof errors.UpstashError) return new ErrorReply(error.message);
  // Of a name with several addresses, none of which answers, there is one error for all, without a message.
  return error.message === '' ? new Error((error as NodeJS.ErrnoException).code ?? error.name) : error;
}
