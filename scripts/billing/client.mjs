import { askService } from '../lib/ask-service.mjs';
import { adminToken } from '../lib/billing-api.mjs';

/** @typedef {import('commander').Command} Command */

/**
 * Asks the billing worker that a command's options name.
 * @param {Command} command
 */
export async function clientOf(command) {
  const { url } = command.optsWithGlobals();
  const ask = askService({ name: 'the billing worker', url, token: await adminToken() });
  /** @param {string} path @param {Record<string, string | undefined>} [query] */
  const text = (path, query = {}) => ask(withQuery(path, query));
  return {
    text,
    /** @param {string} path @param {Record<string, string | undefined>} [query] @returns {Promise<any>} */
    get: async (path, query) => JSON.parse(await text(path, query)),
    /** @param {string} path @param {object} [body] @returns {Promise<any>} */
    post: async (path, body = {}) =>
      JSON.parse(
        await ask(path, {
          method: 'POST',
          body: JSON.stringify(body),
          headers: { 'Content-Type': 'application/json' },
        }),
      ),
  };
}

/** @typedef {Awaited<ReturnType<typeof clientOf>>} Client */

/**
 * All pages of a list, of at most `limit` rows.
 * @param {Client} client
 * @param {string} path
 * @param {Record<string, string | undefined>} query
 * @param {number} limit
 * @returns {Promise<{ rows: any[], more: boolean }>}
 */
export async function readPages(client, path, query, limit) {
  const rows = [];
  let after;
  for (;;) {
    const asked = { ...query, ...(after && { after }), limit: String(Math.min(limit - rows.length, 1_000)) };
    const { data, next } = await client.get(path, asked);
    rows.push(...data);
    if (next === null || rows.length >= limit) return { rows, more: next !== null };
    after = next;
  }
}

/** @param {string} id an invoice's id or number */
export const invoicePath = (id) => `/v1/invoices/${encodeURIComponent(id)}`;

/**
 * @param {string} path
 * @param {Record<string, string | undefined>} query
 */
function withQuery(path, query) {
  const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}
