import { messageOf } from './billing-api.mjs';

const TIMEOUT_MS = 60_000;

/**
 * Whoever asks a service, with its token if it has one: `ask(path, init)` resolves with the text of an answer of success, and throws anything
 * else, with the answer's status if there was one.
 * @param {{ name: string, url: string, token?: string | undefined }} service `name`: for messages
 */
export function askService({ name, token, url }) {
  const { origin } = new URL(url);
  /** @param {string} path @param {RequestInit} [init] */
  return async (path, init = {}) => {
    const headers = { ...init.headers, ...(token && { Authorization: `Bearer ${token}` }) };
    const asked = fetch(new URL(path, url), { ...init, headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
    const { body, ok, status } = await whole(asked).catch((error) => {
      throw new Error(`${name} at ${origin} cannot be reached: ${error.cause?.message || error.message}`);
    });
    if (!ok) throw Object.assign(new Error(`${name} answered ${status}: ${messageOf(body)}`), { status });
    return body;
  };
}

/** @param {Promise<Response>} asked */
async function whole(asked) {
  const response = await asked;
  return { ok: response.ok, status: response.status, body: await response.text() };
}
