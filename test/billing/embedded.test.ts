import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { expect, test, vi } from 'vitest';
import { connectSocket } from '../../billing-worker/database/connect.ts';
import { startEmbeddedPostgres } from '../../billing-worker/database/embedded.ts';
import { openDatabase } from '../../billing-worker/database/open.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { silent } from './databases.ts';

/** Every thread that is started here, so that a test can end one as a crash would. */
const threads = vi.hoisted(() => [] as Worker[]);
vi.mock('node:worker_threads', async (original) => {
  const real = await original<typeof import('node:worker_threads')>();
  return {
    ...real,
    Worker: class extends real.Worker {
      constructor(...[file, options]: ConstructorParameters<typeof Worker>) {
        super(file, options);
        threads.push(this);
      }
    },
  };
});

test('what was written is there again after it was closed and opened', async () => {
  const dataDir = await tempDir('data');
  const first = await openDatabase({ dataDir, log: silent });
  await first.sql`insert into dead_letters (stream, stream_id, digest, reason) values ('s', '1-0', 'd', 'kept')`;
  await first.close();
  const second = await openDatabase({ dataDir, log: silent });
  atTestEnd(() => second.close());
  expect([...(await second.sql`select reason from dead_letters`)]).toEqual([{ reason: 'kept' }]);
});

test.runIf(fullLength)('its socket is for this user alone, and is gone with it', async () => {
  const embedded = await startEmbeddedPostgres(join(await tempDir('data'), 'postgres'), silent);
  const folder = dirname(embedded.socketPath);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  await embedded.close();
  await expect(readdir(folder)).rejects.toThrow('ENOENT');
});

test.runIf(fullLength)('it works in a thread of its own: this one is not held up', async () => {
  const { close, sql } = await openDatabase({ dataDir: await tempDir('data'), log: silent });
  atTestEnd(close);
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  const began = performance.now();
  await sql`select count(*) from generate_series(1, 5000000)`;
  clearInterval(timer);
  const busy = performance.now() - began;
  expect(busy).toBeGreaterThan(100);
  expect(longest).toBeLessThan(busy / 2);
});

test.runIf(fullLength)(
  'a thread that dies is started again on the same files, and the connection comes back by itself',
  async () => {
    const folder = join(await tempDir('data'), 'postgres');
    const embedded = await startEmbeddedPostgres(folder, silent);
    const sql = connectSocket(embedded.socketPath, silent);
    atTestEnd(async () => {
      await sql.end({ timeout: 1 });
      await embedded.close();
    });
    await sql`create table kept as select 1 as n`;
    await threads.at(-1)?.terminate();
    await eventually(async () => expect([...(await sql`select n from kept`)]).toEqual([{ n: 1 }]), {
      timeoutMs: 20_000,
      intervalMs: 200,
    });
    await sql`insert into kept values (2)`;
  },
);

test('a folder that holds something else ends the start with what is wrong', async () => {
  const dataDir = await tempDir('data');
  await mkdir(join(dataDir, 'postgres'));
  await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '9\n');
  await expect(openDatabase({ dataDir, log: silent })).rejects.toThrow();
});
