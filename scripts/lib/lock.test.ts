import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Child } from '../../test/helpers/child.ts';
import { tempDir } from '../../test/helpers/temp-dir.ts';

const PROCESSES = 6;
const lockScript = new URL('./lock.mjs', import.meta.url).href;

/** Writes two lines under the lock, with a pause between, to a file that all share. */
const work = `
  import { appendFileSync } from 'node:fs';
  import { withLock } from ${JSON.stringify(lockScript)};
  const [lock, log] = process.argv.slice(1);
  await withLock(lock, async () => {
    appendFileSync(log, 'in ' + process.pid + '\\n');
    await new Promise((resolve) => setTimeout(resolve, 30));
    appendFileSync(log, 'out ' + process.pid + '\\n');
  });
`;

async function race(dir: string): Promise<string[]> {
  const args = ['--input-type=module', '--eval', work, join(dir, 'lock'), join(dir, 'log')];
  const children = Array.from({ length: PROCESSES }, () => new Child(process.execPath, { args }));
  const exits = await Promise.all(children.map((child) => child.exited));
  expect(exits.map(({ code }) => code)).toEqual(Array(PROCESSES).fill(0));
  return (await readFile(join(dir, 'log'), 'utf8')).trim().split('\n');
}

function expectOneAtATime(lines: string[]): void {
  expect(lines).toHaveLength(2 * PROCESSES);
  for (let index = 0; index < lines.length; index += 2) {
    expect(lines[index + 1]).toBe(lines[index]?.replace('in', 'out'));
  }
}

test('processes do their work one at a time', async () => {
  expectOneAtATime(await race(await tempDir()));
});

test('a lock whose owner has died is taken over, by one at a time', async () => {
  const dir = await tempDir();
  const dead = new Child(process.execPath, { args: ['--version'] });
  await dead.exited;
  await mkdir(join(dir, 'lock'));
  await writeFile(join(dir, 'lock', 'owner'), String(dead.pid));
  expectOneAtATime(await race(dir));
});
