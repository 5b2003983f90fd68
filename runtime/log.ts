import { type DestinationStream, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export type Log = Logger;

/** What cannot be written, on a disk that is full, waits in memory up to this much; what comes after it is dropped. */
const UNWRITTEN_BYTES = 1_048_576;

/** JSON lets them stand as they are, and a terminal does what they say: C1 controls, and what some take for the end of a line. */
const RAW = /[\x7f-\x9f\u2028\u2029]/g;
/** All that a terminal does more with than to show it. */
const CONTROL = /\p{Cc}|[\u2028\u2029]/gu;

const code = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** The same JSON, in which no character of a name can be more than a character. */
const escaped = (line: string) => line.replace(RAW, code);

/** The lines of a stack stay lines, but not those of the message before them. */
const visible = (text: string, isStack: boolean) =>
  (isStack ? text.split(/\n(?=\s+at )/) : [text]).map((part) => part.replace(CONTROL, code)).join('\n');

/** Names stand for what they hold, as members and as values of them. */
function named(key: string, value: unknown): unknown {
  if (typeof value === 'string') return visible(value, key === 'stack');
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [visible(name, false), member]));
}

/** What a name holds is shown as it is on a terminal, and not done. */
const shown = (line: string) => `${JSON.stringify(JSON.parse(line, named))}\n`;

export interface LogOptions {
  /** Readable lines, for a person who looks on. */
  terminal?: boolean;
  /** Instead of standard output. */
  destination?: DestinationStream;
}

/**
 * JSON lines to standard output, readable ones on a terminal. No credential, prompt or answer is logged; names are, whatever is in them.
 * Written at once, so that the last words of a process that ends are not lost.
 */
export function createLog(level: string, { destination, terminal = false }: LogOptions = {}): Log {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  if (!terminal) return pino({ ...options, hooks: { streamWrite: escaped } }, destination ?? standardOutput());
  const view = pretty({ translateTime: 'HH:MM:ss', ...(destination && { destination, colorize: false }) });
  return pino({ ...options, hooks: { streamWrite: shown } }, view);
}

/** A log that cannot be written ends nothing: an error that nobody listens to would end the process. */
function standardOutput() {
  return pino.destination({ fd: 1, sync: true, maxLength: UNWRITTEN_BYTES }).on('error', () => {});
}
