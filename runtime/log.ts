import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export type Log = Logger;

/**
 * JSON lines to standard output, readable ones on a terminal. Nothing that came in a header or an input is logged.
 * Written at once, so that the last words of a process that ends are not lost.
 */
export function createLog(level: string, { terminal = false } = {}): Log {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  return terminal
    ? pino(options, pretty({ translateTime: 'HH:MM:ss' }))
    : pino(options, pino.destination({ fd: 1, sync: true }));
}
