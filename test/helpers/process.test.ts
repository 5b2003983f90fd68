import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadScript } from '../setup/scripts.ts';
import { startProcess } from './process.ts';
import { tempDir } from './temp-dir.ts';

async function script(text: string): Promise<string> {
  const path = join(await tempDir(), 'script.mjs');
  await writeFile(path, text);
  return path;
}

const stubborn = `process.on('SIGTERM', () => console.log('no')); setInterval(() => {}, 1000); console.log('ready');`;

test('sees exactly the given variables, PATH and HOME', async () => {
  const child = await startProcess({
    script: await script('console.log(JSON.stringify(process.env)); console.log(process.argv[2])'),
    env: { COLOUR: 'blue' },
    args: ['first'],
  });
  expect(await child.exited).toEqual({ code: 0, signal: null });
  const { PATH, HOME } = process.env;
  expect(JSON.parse(child.stdout[0] ?? '')).toEqual({ PATH, HOME, COLOUR: 'blue' });
  expect(child.stdout[1]).toBe('first');
});

test('waits for a line of either stream, and says what came instead', async () => {
  const child = await startProcess({
    script: await script("console.log('one'); console.error('two'); setInterval(() => {}, 1000)"),
  });
  expect(await child.waitForLine(/^o/)).toBe('one');
  expect(await child.waitForLine(/tw./)).toBe('two');
  expect(child.stdout).toEqual(['one']);
  await expect(child.waitForLine(/three/, 50)).rejects.toThrow('50 ms without a line like /three/; it said:\none\ntwo');
  const never = child.waitForLine(/three/);
  await Promise.all([child.kill('SIGTERM'), expect(never).rejects.toThrow('the process ended')]);
  expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
});

test('one that does not heed SIGTERM is killed', async () => {
  const child = await startProcess({ script: await script(stubborn) });
  await child.waitForLine(/ready/);
  expect(await child.stop(100)).toEqual({ code: null, signal: 'SIGKILL' });
  expect(child.output).toContain('no');
});

let pid = 0;

test('is ended with the test …', async () => {
  const child = await startProcess({ script: await script("setInterval(() => {}, 1000); console.log('ready')") });
  await child.waitForLine(/ready/);
  ({ pid } = child);
});

test('… that started it', async () => {
  const { isAlive } = await loadScript('lib/lock.mjs');
  expect([pid > 0, isAlive(pid)]).toEqual([true, false]);
});
