import { crc32 } from 'node:zlib';

/**
 * The files of the embedded store are text: a header line, then one record a line, `<crc-32 of the JSON in hex> <JSON>`.
 * JSON has no raw newline, so a line that was cut off by a crash is known by its missing end.
 */
const LF = 0x0a;
const SUM_LENGTH = 8;

/** The version of the files' format and of what is in them. A newer one is refused, an older one is read. */
const FORMAT_VERSION = 1;

const HEADER = /^openclaw-rating counters (journal|snapshot), version (\d+)$/;

export const header = (kind: 'journal' | 'snapshot'): string =>
  `openclaw-rating counters ${kind}, version ${FORMAT_VERSION}\n`;

export const recordLine = (json: string): string => `${checksum(json)} ${json}\n`;

const checksum = (json: string | Buffer) => crc32(json).toString(16).padStart(SUM_LENGTH, '0');

/** What is wrong with a header line; undefined if this code can read the file. */
export function headerFault(line: string, kind: 'journal' | 'snapshot'): string | undefined {
  const [, found, version] = HEADER.exec(line) ?? [];
  if (found !== kind) return `does not begin as a ${kind} of the embedded counters`;
  if (Number(version) <= FORMAT_VERSION) return undefined;
  return `was written by a newer release (format ${version}; this one reads up to ${FORMAT_VERSION}): start that release`;
}

/** The JSON of a line without its end; undefined if the line is damaged. */
export function recordJson(line: Buffer): string | undefined {
  const json = line.subarray(SUM_LENGTH + 1);
  const sum = line.toString('latin1', 0, SUM_LENGTH + 1);
  return sum === `${checksum(json)} ` ? json.toString() : undefined;
}

/** Splits what is read into whole lines, without their ends; what follows the last one waits for more. */
export function splitLines(bytes: Buffer): { lines: Buffer[]; rest: Buffer } {
  const lines: Buffer[] = [];
  let start = 0;
  for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, start)) {
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return { lines, rest: bytes.subarray(start) };
}
