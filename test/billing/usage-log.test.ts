import { appendFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Hono } from 'hono';
import type { Sql } from 'postgres';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ImportOptions, importLogs } from '../../billing-worker/usage-log/import/import-logs.ts';
import { eventually } from '../helpers/eventually.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { SOME_DATABASES } from './databases.ts';
import { expected, imported, line, lines } from './usage-log-lines.ts';
import { askOf, TOKEN, workerApp } from './usage-log-worker.ts';

const LINES = 3_000;

describe.each(SOME_DATABASES)('the usage log on $name', ({ open }) => {
  let sql: Sql;
  let app: Hono;
  let dir: string;

  beforeAll(async () => {
    ({ sql } = await open());
    app = workerApp(sql);
  });

  beforeEach(async () => {
    await sql`delete from gateway_requests`;
    dir = await tempDir('log');
  });

  describe('POST /v1/usage-log', () => {
    const row = (over: object = {}) => ({
      id: 'a',
      at: '2026-10-01T00:00:00.000Z',
      status: 200,
      gateway: 'nginx',
      ...over,
    });
    const post = async (body: string | Buffer, headers: Record<string, string> = {}) => {
      const all = { Authorization: `Bearer ${TOKEN}`, ...headers };
      const answer = await app.request('/v1/usage-log', { method: 'POST', body, headers: all });
      return { status: answer.status, body: await answer.json() };
    };
    const ndjson = (...rows: object[]) => rows.map((each) => JSON.stringify(each)).join('\n');

    test('keeps a request once, and says how many were new: also where it comes twice in one body', async () => {
      const body = ndjson(row(), row({ id: 'b' }), row());
      expect(await post(body)).toEqual({ status: 200, body: { received: 3, new: 2, known: 1, unreadable: [] } });
      expect(await post(gzipSync(body), { 'Content-Encoding': 'gzip' })).toMatchObject({ body: { new: 0, known: 3 } });
      expect((await imported(sql)).rows).toBe(2);
    });

    test('another time makes it another request: a client may have chosen the id', async () => {
      await post(ndjson(row(), row({ at: '2026-10-01T00:00:00.001Z' })));
      expect((await imported(sql)).rows).toBe(2);
    });

    test('keeps what it can read, and says of the rest which line and why, without what it says', async () => {
      const bad = [{ id: 'secret-text' }, row({ status: 'secret-text' }), row({ 'secret-text': 1 }), ['secret-text']];
      const { body, status } = await post(`${ndjson(row(), ...bad)}\n\nsecret-text\n`);
      expect(status).toBe(200);
      expect(body).toEqual({
        received: 6,
        new: 1,
        known: 0,
        unreadable: [
          { line: 2, message: '"at" is missing or wrong' },
          { line: 3, message: '"status" is missing or wrong' },
          { line: 4, message: 'it has fields that are not known' },
          { line: 5, message: 'it is no JSON object' },
          { line: 7, message: 'it is no JSON object' },
        ],
      });
      expect(JSON.stringify(body)).not.toContain('secret-text');
    });

    test('what PostgreSQL cannot hold is kept as near as can be, and its neighbours with it', async () => {
      const hard = row({ id: 'hard\u0000', team_id: 'a\u0000b', user_id: '\ud800', path: '/\u0000' });
      expect(await post(ndjson(row(), hard))).toMatchObject({ body: { new: 2 } });
      const [kept] = await sql`select team_id, user_id from gateway_requests where id <> 'a'`;
      expect({ ...kept }).toEqual({ team_id: 'a\ufffdb', user_id: '\ufffd' });
    });

    test('takes 5,000 requests and 8 MiB at most, also unpacked, and says so', async () => {
      const many = Array.from({ length: 5_001 }, (_, n) => JSON.stringify(row({ id: `${n}` })));
      expect(await post(many.join('\n'))).toMatchObject({ status: 413, body: { message: /5000 lines at most/ } });
      expect(await post(many.slice(1).join('\n'))).toMatchObject({ status: 200, body: { new: 5_000 } });
      const large = Buffer.alloc(9 * 1_024 * 1_024, ' ');
      const refused = {
        status: 413,
        body: { code: 'invalid_parameter', message: expect.stringMatching('8388608 bytes') },
      };
      expect(await post(large)).toEqual(refused);
      expect(await post(gzipSync(large), { 'Content-Encoding': 'gzip' })).toEqual(refused);
    });

    test.each([
      ['gzip', 'the body is no gzip'],
      ['br', 'Content-Encoding must be gzip'],
    ])('a body that is no %s is refused', async (encoding, message) => {
      const answer = await post('{}', { 'Content-Encoding': encoding });
      expect(answer).toEqual({
        status: 400,
        body: { code: 'invalid_parameter', message: expect.stringContaining(message) },
      });
    });

    test('needs the admin token', async () => {
      expect(await post(ndjson(row()), { Authorization: 'Bearer other' })).toMatchObject({ status: 401 });
      expect((await imported(sql)).rows).toBe(0);
    });
  });

  describe('an import', () => {
    const log = async (content: string | Buffer, name = 'access.log') => {
      await writeFile(join(dir, name), content);
      return join(dir, name);
    };
    const run = async (files: string[], over: Partial<ImportOptions> = {}) => {
      const said: string[] = [];
      const isComplete = await importLogs({
        files,
        format: 'auto',
        everyMs: undefined,
        worker: askOf(app),
        settle: undefined,
        signal: new AbortController().signal,
        report: (text) => said.push(text.replace(`${dir}/`, '')),
        say: (text) => said.push(text),
        ...over,
      });
      return { isComplete, said };
    };

    test('has each line once, whichever files it is in and however often they come', async () => {
      const file = await log(lines(0, LINES));
      expect(await run([file])).toEqual({
        isComplete: true,
        said: [`access.log: ${LINES} lines read: ${LINES} new, 0 known before, 0 unreadable`],
      });
      expect(await imported(sql)).toEqual(expected(LINES));
      // The same as it was rotated, one that it was cut from, and one that goes on.
      const packed = await log(gzipSync(lines(0, LINES)), 'access.log.2.gz');
      const before = await log(lines(0, LINES - 700), 'access.log.1');
      await log(lines(0, LINES + 35));
      expect((await run([packed, before, file])).said).toEqual([
        `access.log.2.gz: ${LINES} lines read: 0 new, ${LINES} known before, 0 unreadable`,
        `access.log.1: ${LINES - 700} lines read: 0 new, ${LINES - 700} known before, 0 unreadable`,
        `access.log: ${LINES + 35} lines read: 35 new, ${LINES} known before, 0 unreadable`,
      ]);
      expect(await imported(sql)).toEqual(expected(LINES + 35));
    });

    test('is the same where several are at it at once', async () => {
      const file = await log(lines(0, LINES));
      const all = await Promise.all([run([file]), run([file]), run([file])]);
      expect(all.map(({ isComplete }) => isComplete)).toEqual([true, true, true]);
      expect(await imported(sql)).toEqual(expected(LINES));
    });

    test('goes on when the database is back, also where an answer was lost after the commit', async () => {
      const file = await log(lines(0, LINES));
      const ask = askOf(app);
      let posts = 0;
      const worker = async (path: string, init?: RequestInit) => {
        posts++;
        if (posts === 1) throw Object.assign(new Error('it answered 503'), { status: 503 });
        const answer = await ask(path, init);
        if (posts === 3) throw new Error('it cannot be reached');
        return answer;
      };
      const { isComplete, said } = await run([file], { worker });
      expect(isComplete).toBe(true);
      expect(said).toEqual([
        'it answered 503; trying again',
        'it cannot be reached; trying again',
        `access.log: ${LINES} lines read: ${LINES - 1_000} new, 1000 known before, 0 unreadable`,
      ]);
      expect(await imported(sql)).toEqual(expected(LINES));
    });

    test('says what it could not read, without what it says; the rest is imported, half a line is left', async () => {
      const wrong = `${line(0)}\nsecret-text\n{"status":200,"path":"secret-text"}\n${line(1)}\n{"time":"2026-1`;
      const { isComplete, said } = await run([await log(wrong), join(dir, 'absent.log')]);
      expect(isComplete).toBe(false);
      expect(said).toEqual([
        'access.log: 4 lines read: 2 new, 0 known before, 2 unreadable\n' +
          '  line 2: it is no JSON object\n' +
          '  line 3: it has no time that can be read as one of nginx',
        'absent.log: 0 lines read: 0 new, 0 known before, 0 unreadable\n  it could not be read to its end: ENOENT',
      ]);
      expect((await imported(sql)).rows).toBe(2);
    });

    test('follows the log over a rotation, and ends when it is told to', async () => {
      const file = await log(lines(0, 10));
      const ending = new AbortController();
      const running = run([file], { everyMs: 50, signal: ending.signal });
      const reach = (count: number) => eventually(async () => expect(await imported(sql)).toEqual(expected(count)));
      await reach(10);
      await appendFile(file, lines(10, 20));
      await rename(file, `${file}.1`);
      await appendFile(`${file}.1`, line(20));
      await log(`${lines(21, 35)}${line(35).slice(0, 20)}`);
      await appendFile(`${file}.1`, '\n');
      await reach(35);
      await appendFile(file, `${line(35).slice(20)}\n`);
      await reach(36);
      ending.abort();
      expect(await running).toMatchObject({ isComplete: true });
    });

    test('lets no secret of a query, a path or another field into the ledger', async () => {
      const secrets = [
        'sk-ant-api03-Ab12Cd34',
        'k0_Ab12Cd34Ef56Gh78Ij90',
        'eyJhbGciOiJIUzI1NiJ9',
        'hunter2',
        'Zm9vOmJhcg==',
      ];
      const [key = '', own = '', jwt = '', word = '', basic = ''] = secrets;
      const targets = [
        `/v1/chat?key=${word}`,
        `/v1/chat#${word}`,
        `/a/${key}/x`,
        `/k/${own}`,
        `/t/${jwt}?a`,
        `http://${word}@h/v1`,
      ];
      const more = {
        authorization: `Basic ${basic}`,
        http_x_api_key: own,
        query_string: `k=${word}`,
        request: `GET /?${word}`,
      };
      const file = await log(
        targets.map((path, n) => JSON.stringify({ ...JSON.parse(line(n)), path, ...more })).join('\n'),
      );
      expect(await run([file])).toMatchObject({ isComplete: true });
      const table = await sql`select kept::text as text from gateway_requests as kept`;
      expect(table).toHaveLength(targets.length);
      const all = table.map(({ text }) => text).join('\n');
      for (const secret of secrets) expect(all).not.toContain(secret);
      expect(all).toContain('/v1/chat');
    });
  });
});
