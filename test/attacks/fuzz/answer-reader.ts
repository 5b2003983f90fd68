/** One answer as it came. */
export interface Answer {
  status: number;
  /** By lower-case name; those that come twice are joined. */
  headers: Map<string, string>;
  body: Buffer;
}

/** Splits what comes on a connection into answers, strictly: whatever is no HTTP/1.1 throws. */
export class AnswerReader {
  #bytes: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length ? Buffer.concat([this.#bytes, chunk]) : chunk;
  }

  /** What came and is no whole answer yet, in bytes. */
  get rest(): number {
    return this.#bytes.length;
  }

  /** The next whole answer; `toHead`: it has no body, whatever its headers say. */
  next(toHead: boolean): Answer | undefined {
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    const [line = '', ...lines] = this.#bytes.toString('latin1', 0, end).split('\r\n');
    const status = Number(/^HTTP\/1\.1 ([1-5]\d\d)( |$)/.exec(line)?.[1]);
    if (!status) throw new Error(`no status line: ${JSON.stringify(line.slice(0, 100))}`);
    if (status < 200) {
      this.#bytes = this.#bytes.subarray(end + 4);
      return this.next(toHead);
    }
    const headers = headersOf(lines);
    const found = bodyAt(this.#bytes, end + 4, headers, toHead || status === 204 || status === 304);
    if (!found) return undefined;
    this.#bytes = this.#bytes.subarray(found.end);
    return { status, headers, body: found.body };
  }
}

function headersOf(lines: string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)$/.exec(line) ?? [];
    if (name === undefined) throw new Error(`no header: ${JSON.stringify(line.slice(0, 100))}`);
    const known = headers.get(name.toLowerCase());
    headers.set(name.toLowerCase(), known === undefined ? (value ?? '') : `${known}, ${value}`);
  }
  return headers;
}

function bodyAt(bytes: Buffer, start: number, headers: Map<string, string>, isEmpty: boolean) {
  if (isEmpty) return { body: Buffer.alloc(0), end: start };
  if (headers.get('transfer-encoding') === 'chunked') return chunksAt(bytes, start);
  const length = headers.get('content-length') ?? '';
  if (!/^\d+$/.test(length)) throw new Error(`a body without a length: ${JSON.stringify([...headers])}`);
  const end = start + Number(length);
  return bytes.length < end ? undefined : { body: Buffer.from(bytes.subarray(start, end)), end };
}

function chunksAt(bytes: Buffer, start: number) {
  const chunks: Buffer[] = [];
  let at = start;
  for (;;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    if (!(size >= 0)) throw new Error('no chunk');
    at = line + 2;
    if (bytes.length < at + size + 2) return undefined;
    if (size === 0) return { body: Buffer.concat(chunks), end: at + 2 };
    chunks.push(Buffer.from(bytes.subarray(at, at + size)));
    at += size + 2;
  }
}
