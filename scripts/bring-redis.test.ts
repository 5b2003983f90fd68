import { chmod, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { bringRedis } from '../test/helpers/bring.ts';
import { tempDir } from '../test/helpers/temp-dir.ts';
import { loadScript } from '../test/setup/scripts.ts';
import { testRun } from '../test/setup/test-run.ts';

const script = await loadScript('bring-redis.mjs');

/** A program that says of itself what an old Redis says. */
async function oldRedis(): Promise<string> {
  const path = join(await tempDir(), 'redis-server');
  await writeFile(path, "#!/bin/sh\necho 'Redis server v=6.2.14 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64'\n");
  await chmod(path, 0o755);
  return path;
}

test('takes the one that is set, if it serves', async () => {
  const real = await bringRedis();
  const options = { cacheDir: await tempDir(), log: () => undefined };
  expect(await script.bringRedis({ ...options, env: { REDIS_SERVER_BIN: real } })).toBe(real);
  const old = await oldRedis();
  const bring = (path: string) => script.bringRedis({ ...options, env: { REDIS_SERVER_BIN: path } });
  await expect(bring(old)).rejects.toThrow(`REDIS_SERVER_BIN: ${old} is version 6.2; set it to a redis-server 7.0`);
  await expect(bring('/nowhere')).rejects.toThrow('REDIS_SERVER_BIN: /nowhere --version: not found');
});

test('passes over one on PATH that is too old, and says so', async () => {
  const old = await oldRedis();
  await bringRedis();
  const lines: string[] = [];
  const { cacheDir } = testRun();
  const env = { PATH: `${dirname(old)}:${process.env.PATH}` };
  const found = await script.bringRedis({ cacheDir, log: (line) => lines.push(line), env });
  expect(found).not.toBe(old);
  expect(lines).toContain(`redis-server: passing over ${old} is version 6.2`);
});
