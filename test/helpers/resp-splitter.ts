/** A piece of what a client sent: one whole Redis command, or bytes of another protocol. */
export interface Piece {
  bytes: Buffer;
  /** The command's name and arguments; absent where the client does not speak Redis's protocol. */
  command?: string[];
}

/** Cuts what a Redis client sends into its commands, whatever the chunks it comes in. */
export class RespSplitter {
  #pending: Buffer = Buffer.alloc(0);
  #foreign = false;

  push(chunk: Buffer): Piece[] {
    this.#pending = this.#pending.length ? Buffer.concat([this.#pending, chunk]) : chunk;
    const pieces: Piece[] = [];
    while (this.#pending.length && !this.#foreign) {
      const found = readCommand(this.#pending);
      if (found === 'incomplete') return pieces;
      if (found === 'foreign') break;
      pieces.push({ bytes: this.#pending.subarray(0, found.length), command: found.command });
      this.#pending = this.#pending.subarray(found.length);
    }
    if (this.#pending.length) {
      this.#foreign = true;
      pieces.push({ bytes: this.#pending });
      this.#pending = Buffer.alloc(0);
    }
    return pieces;
  }
}

/** A command is an array of bulk strings: `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`. */
function readCommand(bytes: Buffer): { length: number; command: string[] } | 'incomplete' | 'foreign' {
  const header = readCount(bytes, 0, '*');
  if (typeof header === 'string') return header;
  const command: string[] = [];
  let at = header.next;
  for (let index = 0; index < header.count; index++) {
    const bulk = readCount(bytes, at, '$');
    if (typeof bulk === 'string') return bulk;
    const end = bulk.next + bulk.count;
    if (bytes.length < end + 2) return 'incomplete';
    command.push(bytes.toString('utf8', bulk.next, end));
    at = end + 2;
  }
  return { length: at, command };
}

function readCount(
  bytes: Buffer,
  at: number,
  sign: string,
): { count: number; next: number } | 'incomplete' | 'foreign' {
  if (at >= bytes.length) return 'incomplete';
  if (bytes[at] !== sign.charCodeAt(0)) return 'foreign';
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd < 0) return 'incomplete';
  const count = Number(bytes.toString('latin1', at + 1, lineEnd));
  return Number.isSafeInteger(count) && count >= 0 ? { count, next: lineEnd + 2 } : 'foreign';
}
