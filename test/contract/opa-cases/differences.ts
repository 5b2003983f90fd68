import { isDeepStrictEqual } from 'node:util';
import type { Case } from './case.ts';
import type { Reply } from './send.ts';

/**
 * Where a reply is not what the case expects; empty if it is. `exactly`: to the letter, as OPA itself must answer; else
 * what goes by `match` may differ, such as a message of the JSON parser, or the order of a set.
 */
export function differences(expected: Case, reply: Reply, { exactly }: { exactly: boolean }): string[] {
  const found: string[] = [];
  const differ = (what: string, want: unknown, got: unknown) => {
    if (!isDeepStrictEqual(want, got)) found.push(`${what}: ${JSON.stringify(got)} instead of ${JSON.stringify(want)}`);
  };
  differ('status', expected.expect_status, reply.status);
  for (const [name, value] of Object.entries(expected.expect_headers ?? {})) {
    differ(name, value, reply.headers[name.toLowerCase()]);
  }
  if (expected.expect_empty) differ('body', '', reply.text);
  if (expected.expect_text !== undefined) differ('text', expected.expect_text, reply.text);
  for (const part of expected.expect_contains ?? []) {
    if (!reply.text.includes(part)) found.push(`text: ${JSON.stringify(reply.text)} does not contain ${part}`);
  }
  if (expected.expect_body !== null && expected.expect_body !== undefined && expected.expect_text === undefined) {
    found.push(...bodyDifferences(expected, reply, exactly));
  }
  return found;
}

function bodyDifferences({ expect_body, match = '', message_prefix }: Case, { text }: Reply, exactly: boolean) {
  const got = parsed(text);
  if (got === undefined) return [`body: ${JSON.stringify(text)} is not JSON`];
  if (!exactly && match.startsWith('code-exact')) return errorDifferences(expect_body, got, message_prefix);
  // OPA itself names several errors in any order.
  const unordered = match.startsWith(exactly ? 'code-exact' : 'set');
  const normal = unordered ? sorted : (value: unknown) => value;
  if (isDeepStrictEqual(normal(expect_body), normal(got))) return [];
  return [`body: ${JSON.stringify(got)} instead of ${JSON.stringify(expect_body)}`];
}

interface ErrorBody {
  code?: unknown;
  message?: unknown;
}

function errorDifferences(expected: unknown, got: unknown, prefix = ''): string[] {
  const { code, message } = got as ErrorBody;
  const found: string[] = [];
  if (code !== (expected as ErrorBody).code) found.push(`code: ${JSON.stringify(code)}`);
  if (typeof message !== 'string' || !message.startsWith(prefix)) found.push(`message: ${JSON.stringify(message)}`);
  return found;
}

/** A JSON value with its arrays in one order, whatever theirs was. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, sorted(inner)]));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
