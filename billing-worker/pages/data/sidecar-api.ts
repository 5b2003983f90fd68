import type { z } from 'zod';

export interface SidecarOptions {
  url: string;
  adminToken: string | undefined;
  opaToken: string | undefined;
}

/** `status` 0: the sidecar cannot be reached. `message` is for people, and holds no secret. */
export type Failed = { ok: false; status: number; message: string };
export type Answered<T> = { ok: true; value: T; headers: Headers } | Failed;

export interface Asked<Schema extends z.ZodType> {
  path: string;
  schema: Schema;
  method?: 'GET' | 'POST' | 'DELETE';
  query?: Record<string, string | undefined>;
  body?: object;
  headers?: Record<string, string>;
  /** `service`: what a service may ask, with OPA_TOKEN. */
  as?: 'admin' | 'service';
  timeoutMs?: number;
}

const TIMEOUT_MS = 5_000;

/** What is left now, grants and keys: they are in the store of the counters, which the sidecar answers for. */
export class SidecarApi {
  readonly #options: SidecarOptions;

  constructor(options: SidecarOptions) {
    this.#options = options;
  }

  /** Never rejects: that the sidecar is away is something that a page tells. */
  async ask<Schema extends z.ZodType>(asked: Asked<Schema>): Promise<Answered<z.output<Schema>>> {
    const { body, method = 'GET', schema } = asked;
    try {
      const answer = await fetch(this.#urlOf(asked), {
        method,
        headers: { ...this.#headers(asked), ...(body && { 'Content-Type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
        redirect: 'error',
        signal: AbortSignal.timeout(asked.timeoutMs ?? TIMEOUT_MS),
      });
      const text = await answer.text();
      if (!answer.ok) return { ok: false, status: answer.status, message: messageOf(text, answer.status) };
      const parsed = schema.safeParse(text === '' ? undefined : JSON.parse(text));
      if (parsed.success) return { ok: true, value: parsed.data, headers: answer.headers };
      return { ok: false, status: 502, message: 'The sidecar gave an answer that this page cannot read.' };
    } catch {
      return { ok: false, status: 0, message: 'The sidecar cannot be reached.' };
    }
  }

  #urlOf({ path, query = {} }: Asked<z.ZodType>): string {
    const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
    const search = new URLSearchParams(given).toString();
    return `${this.#options.url.replace(/\/$/, '')}${path}${search && `?${search}`}`;
  }

  #headers({ as = 'admin', headers }: Asked<z.ZodType>): Record<string, string> {
    const { adminToken, opaToken } = this.#options;
    const token = as === 'admin' ? adminToken : opaToken;
    return { ...headers, ...(token !== undefined && { Authorization: `Bearer ${token}` }) };
  }
}

function messageOf(text: string, status: number): string {
  if (status === 401 || status === 403) return 'The sidecar does not take this worker’s token: give both the same.';
  try {
    const { message } = JSON.parse(text);
    if (typeof message === 'string' && message !== '') return message;
  } catch {
    // What is in front of a sidecar may answer with anything.
  }
  return `The sidecar answered with status ${status}.`;
}
