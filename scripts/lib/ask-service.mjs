const TIMEOUT_MS = 60_000;

/**
 * Whoever asks a service, with its token if it has one: `ask(path, init)` resolves with the text of an answer of success, and throws anything
 * else, with the answer's status if there was one.
 * @param {{ name: string, url: string, token?: string | undefined }} service `name`: for messages
 */
export function askService({ name, token, url }) {
  /** @param {string} path @param {RequestInit} [init] */
  return async (path, init = {}) => (await ask({ name, token }, new URL(path, url), init)).text;
}

/**
 * Asks once. Throws what is refused, as the service says it.
 * @param {{ name: string, token?: string | undefined }} service
 * @param {URL} address
 * @param {RequestInit} [init]
 */
export async function ask({ name, token }, address, init = {}) {
  const headers = { ...init.headers, ...(token && { Authorization: `Bearer ${token}` }) };
  const asked = fetch(address, { ...init, headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  const answer = await whole(asked).catch((error) => {
    throw new Error(`${name} at ${address.origin} cannot be reached: ${error.cause?.message || error.message}`);
  });
  const { ok, status, text } = answer;
  if (!ok) throw Object.assign(new Error(`${name} answered ${status}: ${messageOf(text)}`), { status });
  return { text, headers: answer.headers };
}

/** @param {Promise<Response>} asked */
async function whole(asked) {
  const response = await asked;
  return { ok: response.ok, status: response.status, headers: response.headers, text: await response.text() };
}

/** @param {string} text */
function messageOf(text) {
  try {
    return JSON.parse(text).message;
  } catch {
    return text.slice(0, 200);
  }
}
