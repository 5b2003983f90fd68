import { errors, Redis } from '@upstash/redis';
import { ErrorReply } from 'redis';

export interface UpstashAccess {
  /** `https://…`, without credentials. */
  url: string;
  token: string;
}

/** As long as a thousand entries may take over a slow line. */
const TIMEOUT_MS = 8_000;

/** Replies come as Redis gives them, strings as strings. A request is sent once: who sent it knows whether to repeat it. */
export const upstashClient = ({ token, url }: UpstashAccess): Redis =>
  new Redis({
    url,
    token,
    // `retry: false` is not enough, the client then tries a second time all the same.
    retry: { retries: 0 },
    // As a function: of a signal the client takes the end for an answer, null.
    signal: () => AbortSignal.timeout(TIMEOUT_MS),
    automaticDeserialization: false,
    responseEncoding: false,
    enableAutoPipelining: false,
    enableTelemetry: false,
    latencyLogging: false,
  });

/** Waits for an answer, and throws an `ErrorReply` where it is an error that Upstash answers. */
export async function answered<Result>(answer: Promise<Result>): Promise<Result> {
  try {
    return await answer;
  } catch (error) {
    const isReply = error instanceof errors.UpstashError && !(error instanceof errors.UpstashJSONParseError);
    // The client ends the message with the command, which may be many ids.
    throw isReply ? new ErrorReply(error.message.split(', command was: ', 1)[0]) : error;
  }
}
