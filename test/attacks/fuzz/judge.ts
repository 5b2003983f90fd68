import { gunzipSync } from 'node:zlib';
import type { Answer } from './answer-reader.ts';

/** What of our insides must never be told. */
const INSIDES = /node_modules|node:internal|\n\s+at [\w.<>]+ \(|PostgresError|ECONNREFUSED|ReplyError/;

/** What is wrong with an answer, whatever was asked; undefined: nothing. */
export function wrongWith({ body, headers, status }: Answer): string | undefined {
  if (status >= 500 && !(status === 503 && /^\d+$/.test(headers.get('retry-after') ?? ''))) return `status ${status}`;
  if (/x=1/.test(headers.get('set-cookie') ?? '')) return 'a header that was put in by a name';
  const text = textOf(body, headers.get('content-encoding'));
  if (text === undefined) return 'it is not what its Content-Encoding says';
  const type = headers.get('content-type') ?? '';
  if (type.startsWith('application/json') && text !== '' && !isJson(text)) return 'it is no JSON';
  if (INSIDES.test(text)) return 'it tells of what is inside';
  if (type.startsWith('text/html') && /<script>alert/.test(text)) return 'a script that was put in by a name';
  return undefined;
}

function textOf(body: Buffer, encoding: string | undefined): string | undefined {
  if (encoding === undefined) return body.toString();
  try {
    return gunzipSync(body).toString();
  } catch {
    return undefined;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
