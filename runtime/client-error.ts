import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

/** What Node's parser refuses, with Node's own status; but a method that it does not know is one that no route has. */
const STATUS: Record<string, number> = {
  HPE_INVALID_METHOD: 405,
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** The caller has so long to read its answer and to end its side: one that does not would hold the connection for ever. */
const LINGER_MS = 1_000;

/** Node's own field: the answer that is being written on this connection, into which nothing else may be written. */
interface Answering {
  _httpMessage?: { headersSent: boolean };
}

/** For a server's `clientError`: says what is wrong with a request that is no HTTP, and ends the connection. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable || (socket as Answering)._httpMessage?.headersSent) {
    socket.destroy();
    return;
  }
  const status = STATUS[error.code ?? ''] ?? 400;
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
