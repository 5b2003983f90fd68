/** How long anybody waits for an answer: a hang is what comes later. The counters are given up after 0.3 s. */
export const DEADLINE_MS = 5_000;

export interface Answer {
  status: number;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers of any shape are read, also wrong ones
  body: any;
}

export type Called = { answer: Answer } | { failed: string };

export interface Call {
  method?: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: unknown;
  deadlineMs?: number;
}

/** One request, one answer or none; never throws. */
export async function call(
  url: string,
  { body, deadlineMs = DEADLINE_MS, headers, method = 'POST' }: Call = {},
): Promise<Called> {
  try {
    const response = await fetch(url, {
      method,
      headers: { 'Content-Type': 'application/json', ...headers },
      signal: AbortSignal.timeout(deadlineMs),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { answer: { status: response.status, text, body: parsed(text) } };
  } catch (error) {
    return { failed: reasonOf(error) };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  const { cause, name } = error as Error;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  return code ?? name;
}
