import { KeysError } from './keys-error.ts';

/** Of a set of keys or a discovery document: the largest known are of some 20 kB. */
export const MAX_BYTES = 1024 * 1024;

/** The body of what is at a URL. `name` is the URL as it may be shown. Throws `KeysError`. */
export async function getText(url: string, name: string, signal: AbortSignal): Promise<string> {
  try {
    // A redirect is not followed: whoever can make the server redirect must not choose whose keys are believed.
    const response = await fetch(url, { headers: { Accept: 'application/json' }, redirect: 'manual', signal });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new KeysError(`${name}: the server answers ${response.status}`);
    }
    return await textOf(response, name);
  } catch (error) {
    throw error instanceof KeysError ? error : new KeysError(`${name}: ${whyOf(error)}`);
  }
}

async function textOf(response: Response, name: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    // Leaving the loop cancels the rest.
    if (length > MAX_BYTES) throw new KeysError(`${name}: the answer is larger than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length).toString('utf8');
}

/** fetch says what happened in the cause. Its own message may hold the URL with a password in it, so it is not shown. */
function whyOf(error: unknown): string {
  const { cause, name } = error as Error;
  if (name === 'TimeoutError') return 'the server has not answered in whole in time';
  if (!(cause instanceof Error)) return 'the server cannot be asked';
  return `the server cannot be reached: ${(cause as NodeJS.ErrnoException).code ?? cause.message}`;
}

/** A user, a password and a query may be secrets; the rest says where it is. */
export function shownUrl(url: string): string {
  const { host, pathname, protocol } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
