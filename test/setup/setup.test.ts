import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Child } from '../helpers/child.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { runFixture } from './nested-run.ts';
import { loadScript } from './scripts.ts';

async function printedPid(child: Child, name = 'pid'): Promise<number> {
  return Number((await child.waitForLine(new RegExp(`${name}=\\d+`), 25_000)).replace(/.*=/, ''));
}

const { isAlive } = await loadScript('lib/lock.mjs');

test('a test file that leaves a process behind fails, and the process is killed', async () => {
  const { child } = await runFixture('leaves-child');
  const pid = await printedPid(child);
  expect(await child.exited).toEqual({ code: 1, signal: null });
  expect(child.output.join('\n')).toContain(`left processes behind, which have been killed: ${pid} sleep 60`);
  await eventually(() => expect(isAlive(pid)).toBe(false));
});

test('when vitest is killed, its servers and test files end and its folder goes', async () => {
  const { child, temp } = await runFixture('stays');
  const pids = [await printedPid(child), await printedPid(child, 'worker')];
  const runDir = join(temp, (await readdir(temp)).find((name) => name.startsWith('openclaw-')) ?? 'none');
  expect([...pids.map(isAlive), existsSync(runDir)]).toEqual([true, true, true]);
  await child.kill('SIGKILL');
  await eventually(() => expect([...pids.map(isAlive), existsSync(runDir)]).toEqual([false, false, false]));
});

test.runIf(fullLength)('when a test file crashes, its servers end', async () => {
  const { child } = await runFixture('crashes');
  const pid = await printedPid(child);
  expect((await child.exited).code).toBe(1);
  await eventually(() => expect(isAlive(pid)).toBe(false));
});

test.runIf(fullLength)('what cannot be brought leaves out the tests that ask for it, and those only', async () => {
  const { child, results } = await runFixture('lacks-redis', { REDIS_SERVER_BIN: '/nowhere/redis-server' });
  expect(await child.exited).toEqual({ code: 0, signal: null });
  expect(await statuses(results)).toEqual({
    'needs nothing': 'passed',
    'asks for Redis': 'skipped',
    first: 'skipped',
    second: 'skipped',
    runs: 'passed',
  });
  expect(child.output.join('\n')).toMatch(/left out: REDIS_SERVER_BIN: \/nowhere\/redis-server.*not found/);
});

test('in CI what cannot be brought is a failure', async () => {
  const { child, results } = await runFixture('lacks-redis', { REDIS_SERVER_BIN: '/nowhere/redis-server', CI: 'true' });
  expect(await child.exited).toEqual({ code: 1, signal: null });
  expect(await statuses(results)).toMatchObject({
    'needs nothing': 'passed',
    'asks for Redis': 'failed',
    runs: 'passed',
  });
});

async function statuses(results: string): Promise<Record<string, string>> {
  const { testResults } = JSON.parse(await readFile(results, 'utf8'));
  const assertions: { title: string; status: string }[] = testResults[0].assertionResults;
  return Object.fromEntries(assertions.map(({ title, status }) => [title, status]));
}
