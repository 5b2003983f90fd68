/** What a test says to a sidecar and a billing worker, as any HTTP client would. */
export interface Reply {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of any shape
  body: any;
}

export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return read(
    await fetch(url, { method: 'POST', body: text, headers: { 'Content-Type': 'application/json', ...headers } }),
  );
}

export async function get(url: string, headers: Record<string, string> = {}): Promise<Reply> {
  return read(await fetch(url, { headers }));
}

async function read(response: Response): Promise<Reply> {
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text.startsWith('{') ? JSON.parse(text) : text };
}

export const ask = (sidecar: string, input: unknown, document = 'allow'): Promise<Reply> =>
  post(`${sidecar}/v1/data/openclaw/rate_limit/${document}`, { input });

/** Calls `job` `times` times, `callers` at once, and gives what each call came to. */
export async function inParallel<Result>(
  times: number,
  callers: number,
  job: (index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const call = async () => {
    for (let index = next++; index < times; index = next++) results[index] = await job(index);
  };
  await Promise.all(Array.from({ length: callers }, call));
  return results;
}
