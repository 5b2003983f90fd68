import type { IncomingMessage } from 'node:http';
import type { Context } from 'hono';

/** The address at the other end of the connection, for the audit; undefined where there is none. */
export const sourceIp = (c: Context): string | undefined =>
  (c.env as { incoming?: IncomingMessage } | undefined)?.incoming?.socket?.remoteAddress;
