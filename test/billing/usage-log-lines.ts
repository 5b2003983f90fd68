import type { Sql } from 'postgres';

const TEAMS = ['data', 'engineering', 'product', ''];

/** A line as nginx writes it. Two of seven have no id of their own, and of these each is equal to the one before it. */
export function line(n: number): string {
  const isTwin = n % 7 === 6;
  const hasId = n % 7 < 5;
  return JSON.stringify({
    time: new Date(Date.parse('2026-10-01T00:00:00.123Z') + (isTwin ? n - 1 : n) * 1_000).toISOString(),
    ...(hasId && { request_id: n.toString(16).padStart(32, '0') }),
    method: 'POST',
    path: '/v1/chat',
    status: '200',
    request_length: 1_000 + (hasId ? n : 0),
    bytes_sent: 100,
    tenant_id: 'acme',
    team_id: hasId ? TEAMS[n % TEAMS.length] : 'data',
    user_id: 'alice',
    decision_id: '',
  });
}

export const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `${line(from + i)}\n`).join('');

/** What the first so many lines come to, each counted once. */
export const expected = (count: number) => ({
  rows: count,
  bytes: Array.from({ length: count }, (_, n) => JSON.parse(line(n)).request_length).reduce(
    (sum, each) => sum + each,
    0,
  ),
});

/** What the ledger has. */
export async function imported(sql: Sql) {
  const [row] = await sql`select count(*)::int as rows, coalesce(sum(bytes_in), 0)::int as bytes from gateway_requests`;
  return { ...row };
}
