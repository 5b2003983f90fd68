import { readdir, realpath, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { Child } from '../test/helpers/child.ts';
import { tempDir } from '../test/helpers/temp-dir.ts';
import { DataDirInUse, lockDataDir } from './data-dir-lock.ts';
import { compiled } from './package-root.ts';

/** Locks a folder until it is ended; SIGTERM gives it back. */
const HOLDER = `
  import { lockDataDir } from ${JSON.stringify(compiled('runtime/data-dir-lock.js').href)};
  setInterval(() => {}, 1_000);
  try {
    const lock = await lockDataDir(process.argv[1]);
    process.once('SIGTERM', () => lock.release().then(() => process.exit(0)));
    console.log('said: held');
  } catch (error) {
    console.log('said: ' + error.name + ': ' + error.message);
    process.exit(1);
  }
`;

let dir: string;

beforeEach(async () => {
  dir = await realpath(await tempDir('lock'));
});

/** Another process that locks the folder, and what it says about it. */
async function holder(folder: string): Promise<{ child: Child; said: string }> {
  const child = new Child(process.execPath, { args: ['--input-type=module', '-e', HOLDER, folder] });
  const line = await child.waitForLine(/^said: /);
  return { child, said: line.slice('said: '.length) };
}

test('a second process is refused, with the folder and what to do', async () => {
  expect((await holder(dir)).said).toBe('held');
  const { said } = await holder(dir);
  expect(said).toContain(`DataDirInUse: ${dir} is in use by another process`);
  expect(said).toMatch(/DATA_DIR.*REDIS_URL/);
});

test('the folder of a process that was killed with -9 can be locked at once', async () => {
  const { child } = await holder(dir);
  await child.kill('SIGKILL');
  expect(await readdir(dir)).toHaveLength(1);
  const lock = await lockDataDir(dir);
  await expect(lockDataDir(dir)).rejects.toThrow(DataDirInUse);
  expect(await readdir(dir)).toHaveLength(1);
  await lock.release();
});

test('a released folder can be locked again, and nothing is left in it', async () => {
  const { child } = await holder(dir);
  await child.stop();
  expect(await readdir(dir)).toEqual([]);
  await (await lockDataDir(dir)).release();
});

test('a holder that is stopped holds all the same', async () => {
  const { child } = await holder(dir);
  await child.kill('SIGSTOP');
  await expect(lockDataDir(dir)).rejects.toThrow(DataDirInUse);
});

test('of many processes that start over a dead one at the same moment, exactly one gets the folder', async () => {
  for (let round = 0; round < 3; round++) {
    const { child } = await holder(dir);
    await child.kill('SIGKILL');
    const started = await Promise.all(Array.from({ length: 6 }, () => holder(dir)));
    expect(started.filter(({ said }) => said === 'held')).toHaveLength(1);
    await Promise.all(started.map((each) => each.child.kill('SIGKILL')));
  }
}, 60_000);

test('of twenty that ask in the same turn, exactly one gets the folder', async () => {
  const asked = await Promise.allSettled(Array.from({ length: 20 }, () => lockDataDir(dir)));
  const held = asked.filter((each) => each.status === 'fulfilled');
  expect(held).toHaveLength(1);
  await held[0]?.value.release();
});

test('a folder whose path is too long for a socket is locked too', async () => {
  const long = join(dir, 'd'.repeat(120));
  const lock = await lockDataDir(long);
  expect((await holder(long)).said).toContain('DataDirInUse');
  await lock.release();
  expect((await holder(long)).said).toBe('held');
});

test('another name of the same folder is the same folder', async () => {
  const lock = await lockDataDir(dir);
  await symlink(dir, join(dir, 'link'));
  await expect(lockDataDir(join(dir, 'link'))).rejects.toThrow(DataDirInUse);
  await lock.release();
});
