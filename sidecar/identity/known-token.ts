import { timingSafeEqual } from 'node:crypto';

/** The length stands in the last two bytes. */
const ROOM = 256;
const LONGEST = ROOM - 2;

const given = Buffer.alloc(ROOM);

/**
 * Whether what was sent is this token, in the same time whatever was sent: tokens are laid into a frame of one size. Undefined for
 * a token that has no room there; then digests tell. A digest takes 4 µs, which every decision of the service would pay; this 0.4.
 */
export function knownToken(token: string): ((sent: string) => boolean) | undefined {
  const expected = Buffer.alloc(ROOM);
  const bytes = Buffer.from(token);
  if (bytes.length > LONGEST) return undefined;
  lay(bytes.toString('latin1'), expected);
  return (sent) => {
    lay(sent.length > LONGEST ? '' : sent, given);
    return timingSafeEqual(given, expected);
  };
}

/** Node reads a header as Latin-1: these are the bytes that were sent. */
function lay(text: string, frame: Buffer): void {
  frame.fill(0);
  frame.write(text, 0, 'latin1');
  frame.writeUInt16LE(text.length, LONGEST);
}
