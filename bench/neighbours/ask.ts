import { setTimeout as sleep } from 'node:timers/promises';

export interface Answer {
  status: number;
  text: string;
}

/** One question of the run itself, beside the load. Without a body it is a GET. */
export async function ask(url: string, body?: string, headers: Record<string, string> = {}): Promise<Answer> {
  const json = { 'Content-Type': 'application/json', ...headers };
  const response = await fetch(url, body === undefined ? { headers } : { method: 'POST', body, headers: json });
  return { status: response.status, text: await response.text() };
}

/** Throws if an answer grants anything, or is none. */
export function mustRefuse({ status, text }: Answer, granted: string): void {
  if (status >= 500 || text.includes(granted)) throw new Error(`must be refused, but the answer is ${status} ${text}`);
}

/** Refusals by a deadline, on a machine that is busy, before all that there is room for was granted. */
const MOST_LATE = 5;
/** The sidecar refuses for 5 s what took too long to evaluate. */
const PAUSE_MS = 1_500;

/** Throws unless exactly as much is granted as there is room for, and then nothing. */
export async function mustRefuseAfter(
  room: number,
  put: () => Promise<Answer>,
  granted: string,
  { pauseMs = PAUSE_MS } = {},
): Promise<void> {
  for (let grants = 0, late = 0; grants < room; ) {
    const answer = await put();
    if (answer.text.includes(granted)) grants += 1;
    else if (++late > MOST_LATE) {
      throw new Error(`a limit of ${room} grants only ${grants}, then: ${answer.status} ${answer.text}`);
    } else await sleep(pauseMs);
  }
  for (let beyond = 0; beyond < 3; beyond++) mustRefuse(await put(), granted);
}
