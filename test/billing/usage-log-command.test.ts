import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Hono } from 'hono';
import type { Sql } from 'postgres';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { openDatabase } from '../../billing-worker/database/open.ts';
import { listen } from '../../runtime/listen.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startProcess } from '../helpers/process.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { silent } from './databases.ts';
import { expected, imported, line, lines } from './usage-log-lines.ts';
import { TOKEN, workerApp } from './usage-log-worker.ts';

/** `npm run usage-log` as a process. What it does to a ledger is in usage-log.test.ts. */
let sql: Sql;
let app: Hono;
let dir: string;

beforeAll(async () => {
  const { drop, url } = await createDatabase();
  atTestEnd(drop);
  const database = await openDatabase({ databaseUrl: url, dataDir: '/nonexistent', log: silent });
  atTestEnd(() => database.close());
  ({ sql } = database);
  app = workerApp(sql);
});

beforeEach(async () => {
  await sql`delete from gateway_requests`;
  dir = await tempDir('log');
});

const serve = async (served: Hono = app, port = 0) => {
  const { close, url } = await listen(served, { host: '127.0.0.1', port, variable: 'BILLING_PORT' });
  atTestEnd(close);
  return url;
};
const start = (url: string, args: string[], env: Record<string, string> = {}) =>
  startProcess({
    script: 'scripts/usage-log.mjs',
    args: ['--url', url, ...args],
    env: { ADMIN_TOKEN: TOKEN, npm_lifecycle_event: 'usage-log', INIT_CWD: dir, ...env },
  });
const log = (content: string) => writeFile(join(dir, 'access.log'), content);
const LOG = ['--file', 'access.log'];

test('killed with -9 before and after the worker has committed: the next one ends what it began', {
  timeout: 60_000,
}, async () => {
  await log(lines(0, 3_000));
  for (const committed of [false, true]) {
    let posts = 0;
    const deadly = new Hono().all('*', async (c) => {
      if (++posts < 2) return app.fetch(c.req.raw);
      if (committed) await app.fetch(c.req.raw);
      await child.kill('SIGKILL');
      return c.text('');
    });
    const child = await start(await serve(deadly), LOG);
    expect(await child.exited).toMatchObject({ signal: 'SIGKILL' });
    expect((await imported(sql)).rows).toBe(committed ? 2_000 : 1_000);
  }
  const child = await start(await serve(), LOG);
  expect(await child.exited).toMatchObject({ code: 0 });
  expect(child.stdout).toEqual([
    expect.stringMatching(/access.log: 3000 lines read: 1000 new, 2000 known before, 0 unreadable$/),
  ]);
  expect(await imported(sql)).toEqual(expected(3_000));
});

test('waits for a worker that is not there yet; with --every it goes on, and ends in order on SIGTERM', {
  timeout: 60_000,
}, async () => {
  await log(lines(0, 10));
  const port = await freePort();
  const child = await start(`http://127.0.0.1:${port}`, [...LOG, '--every', '1s']);
  await child.waitForLine(/the billing worker at .* cannot be reached: .*ECONNREFUSED.*; trying again/, 30_000);
  await serve(app, port);
  const reach = (count: number) =>
    eventually(async () => expect(await imported(sql)).toEqual(expected(count)), { timeoutMs: 30_000 });
  await reach(10);
  await appendFile(join(dir, 'access.log'), lines(10, 12));
  await reach(12);
  await child.kill('SIGTERM');
  expect(await child.exited).toEqual({ code: 0, signal: null });
});

test('ends with 1 where a line could not be read, and says which', async () => {
  await log(`${line(0)}\nsecret-text\n`);
  const child = await start(await serve(), LOG);
  expect(await child.exited).toMatchObject({ code: 1 });
  expect(child.output.join('\n')).toMatch(/1 new, 0 known before, 1 unreadable\n {2}line 2: it is no JSON object/);
  expect(child.output.join('\n')).not.toContain('secret-text');
});

test('a wrong token and wrong options are refused with what would be right', { timeout: 60_000 }, async () => {
  const url = await serve();
  await log(lines(0, 3));
  const cases = [
    [LOG, { ADMIN_TOKEN: 'other' }, /the billing worker answered 401: this needs the admin token/],
    [[...LOG, '--every', '5'], {}, /It must be a time such as 60s, 5m or 1h/],
    [[...LOG, '--every', '25h'], {}, /24h at most/],
    [[...LOG, '--bytes-per-token', '0'], {}, /It must be a number above 0/],
    [[...LOG, '--format', 'apache'], {}, /Allowed choices are auto, nginx, caddy/],
    [[], {}, /required option '--file/],
  ] as const;
  for (const [args, env, message] of cases) {
    const child = await start(url, [...args], env);
    expect(await child.exited).toMatchObject({ code: 1 });
    expect(child.output.join('\n')).toMatch(message);
  }
  expect((await imported(sql)).rows).toBe(0);
});
