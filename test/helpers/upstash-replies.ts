import { ErrorReply } from 'redis';

/** What Redis answers to one command: bulk strings as bytes, simple ones (`OK`) as text. */
export type RedisReply = Buffer | string | number | null | ErrorReply | RedisReply[];

/** What the REST API answers to one command. */
export type RestReply = { result: unknown } | { error: string };

export type Encoding = 'json' | 'base64';

/**
 * As the REST API writes replies: integers and null as those of JSON, arrays nested, strings as text in which whatever is
 * not UTF-8 becomes U+FFFD, or in base64, except for `OK`.
 */
export function restReply(reply: RedisReply, encoding: Encoding): RestReply {
  return reply instanceof ErrorReply ? { error: reply.message } : { result: encoded(reply, encoding) };
}

function encoded(reply: RedisReply, encoding: Encoding): unknown {
  if (Array.isArray(reply)) return reply.map((element) => encoded(element, encoding));
  if (reply instanceof ErrorReply) return encoded(reply.message, encoding);
  if (reply === null || typeof reply === 'number') return reply;
  const bytes = Buffer.from(reply as string);
  const text = bytes.toString();
  return encoding === 'json' || text === 'OK' ? text : bytes.toString('base64');
}
