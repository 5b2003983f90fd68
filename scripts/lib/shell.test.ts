import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { eventually } from '../../test/helpers/eventually.ts';
import { loadScript } from '../../test/setup/scripts.ts';

const { Shell } = await loadScript('lib/shell.mjs');
const { isAlive } = await loadScript('lib/lock.mjs');
const shell = (text: string) => new Shell(text, tmpdir());

test('says what is wrong with exit code and output', async () => {
  expect(await shell('echo fine').done({ exit: 0, expect: 'fine', timeout: 5 })).toBeUndefined();
  expect(await shell('exit 3').done({ exit: 3, timeout: 5 })).toBeUndefined();
  expect(await shell('exit 3').done({ exit: 0, timeout: 5 })).toBe('it ended with 3 instead of 0');
  expect(await shell('false | true; echo reached').done({ exit: 0, timeout: 5 })).toBe('it ended with 1 instead of 0');
  expect(await shell('echo other').done({ exit: 0, expect: 'fine', timeout: 5 })).toBe('it did not print "fine"');
});

test('a command that hangs is ended with all that it has started', async () => {
  const hanging = shell('sleep 60 & echo "child=$!"; wait');
  expect(await hanging.done({ exit: 0, timeout: 0.3 })).toBe('it did not end within 0.3 s');
  const pid = Number(/child=(\d+)/.exec(hanging.output)?.[1]);
  await eventually(() => expect(isAlive(pid)).toBe(false));
});

test('in the background it is ready when it has printed what is expected, and ends as by Ctrl-C', async () => {
  const server = shell("trap 'echo interrupted; exit 0' INT; sleep 0.1; echo listening; while :; do sleep 0.05; done");
  expect(await server.ready({ expect: 'listening', timeout: 5 })).toBeUndefined();
  await server.end();
  expect(server.output).toBe('listening\ninterrupted\n');
});

test('in the background it may fail to become ready', async () => {
  expect(await shell('echo no; exit 4').ready({ expect: 'listening', timeout: 5 })).toBe(
    'it ended with 4 before it printed "listening"',
  );
  const slow = shell('sleep 60');
  expect(await slow.ready({ expect: 'listening', timeout: 0.1 })).toBe('it did not print "listening" within 0.1 s');
  await slow.end();
});
