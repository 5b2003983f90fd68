import { appendFile, copyFile, rename, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeEach, expect, test } from 'vitest';
import { tempDir } from '../../../test/helpers/temp-dir.ts';
import { atTestEnd } from '../../../test/helpers/test-end.ts';
import { LogFile } from './log-file.ts';

let path: string;
let file: LogFile;

beforeEach(async () => {
  path = join(await tempDir('log'), 'access.log');
  file = new LogFile(path);
  atTestEnd(() => file.close());
});

const line = (n: number) => `{"n":${n}}\n`;
const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => line(from + i)).join('');
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** The `n` of all that has come since. */
async function read(options = { final: false }, of = file): Promise<number[]> {
  const found: number[] = [];
  for await (const { bytes } of of.read(options)) found.push(JSON.parse(String(bytes)).n);
  return found;
}

test('what has come since is read, once, in order', async () => {
  await writeFile(path, lines(0, 100_000));
  expect(await read()).toEqual(numbers(0, 100_000));
  expect(await read()).toEqual([]);
  await appendFile(path, lines(100_000, 100_003));
  expect(await read()).toEqual([100_000, 100_001, 100_002]);
});

test('half a line is left until it is whole; at the last reading too, unless it lacks its line feed alone', async () => {
  await writeFile(path, '{"n":0}\n{"n":');
  expect(await read()).toEqual([0]);
  expect(await read({ final: true })).toEqual([]);
  await appendFile(path, '1}');
  expect(await read()).toEqual([]);
  const another = new LogFile(path);
  expect(await read({ final: true }, another)).toEqual([0, 1]);
  await another.close();
  await appendFile(path, '\n');
  expect(await read()).toEqual([1]);
});

test('lines have the numbers that an editor shows', async () => {
  await writeFile(path, '{"n":0}\n\n{"n":1}\n{"n":2}');
  const found: number[] = [];
  for await (const { number } of file.read({ final: true })) found.push(number);
  expect(found).toEqual([1, 3, 4]);
});

test('a file that is renamed is read to its end first, also what is written to it later', async () => {
  await writeFile(path, lines(0, 3));
  expect(await read()).toEqual([0, 1, 2]);
  await appendFile(path, lines(3, 5));
  await rename(path, `${path}.1`);
  // The gateway has not opened the new one yet.
  expect(await read()).toEqual([3, 4]);
  await appendFile(`${path}.1`, line(5));
  await writeFile(path, lines(6, 8));
  expect(await read()).toEqual([5, 6, 7]);
  await appendFile(`${path}.1`, '{"n":8}');
  await appendFile(path, line(9));
  expect(await read()).toEqual([9]);
  // It has ended without a line feed, and nothing more comes.
  expect([...(await read()), ...(await read()), ...(await read())]).toEqual([8]);
  await appendFile(path, line(10));
  expect(await read()).toEqual([10]);
});

test('a file that is removed meanwhile is read to its end, as are two that were renamed between two looks', async () => {
  await writeFile(path, lines(0, 2));
  expect(await read()).toEqual([0, 1]);
  await appendFile(path, line(2));
  await unlink(path);
  expect(await read()).toEqual([2]);
  await writeFile(path, line(3));
  expect(await read()).toEqual([3]);
  await appendFile(path, line(4));
  await rename(path, `${path}.1`);
  expect(await read()).toEqual([4]);
  await writeFile(path, line(5));
  expect(await read()).toEqual([5]);
});

test('a file that is copied and cut is read from its beginning, also if it is longer than before', async () => {
  await writeFile(path, lines(0, 3));
  expect(await read()).toEqual([0, 1, 2]);
  await copyFile(path, `${path}.1`);
  await truncate(path, 0);
  await appendFile(path, line(3));
  expect(await read()).toEqual([3]);
  await truncate(path, 0);
  await appendFile(path, lines(4, 9));
  expect(await read()).toEqual([4, 5, 6, 7, 8]);
});

test.each(['access.log.2.gz', 'packed-without-the-name'])(
  'a file in gzip (%s) is read whole, and once',
  async (name) => {
    const packed = join(path, '..', name);
    await writeFile(packed, gzipSync(`${lines(0, 50_000)}{"n":50000}`));
    const of = new LogFile(packed);
    expect(await read({ final: false }, of)).toEqual(numbers(0, 50_001));
    expect(await read({ final: false }, of)).toEqual([]);
    await writeFile(packed, gzipSync(lines(7, 9)));
    expect(await read({ final: false }, of)).toEqual([7, 8]);
  },
);

test('a file in gzip that is cut off gives what it has, then fails, and is read again', async () => {
  const whole = gzipSync(lines(0, 50_000));
  const packed = `${path}.gz`;
  await writeFile(packed, whole.subarray(0, whole.length / 2));
  const of = new LogFile(packed);
  const found: number[] = [];
  const reading = async () => {
    for await (const { bytes } of of.read({ final: true })) found.push(JSON.parse(String(bytes)).n);
  };
  await expect(reading()).rejects.toThrow(/unexpected end/);
  expect(found.length).toBeGreaterThan(1_000);
  expect(found).toEqual(numbers(0, found.length));
  await writeFile(packed, whole);
  expect(await read({ final: true }, of)).toHaveLength(50_000);
});

test('a file that is not there is an error, and is read once it is there', async () => {
  await expect(read()).rejects.toThrow('ENOENT');
  await writeFile(path, line(0));
  expect(await read()).toEqual([0]);
});

test('equal lines are counted on over the reads of one file, and anew in another', async () => {
  const ids = async () => {
    const found: string[] = [];
    for await (const { bytes, ids } of file.read({ final: false })) found.push(ids.of(bytes ?? Buffer.alloc(0)));
    return found;
  };
  await writeFile(path, line(0));
  const first = await ids();
  await appendFile(path, line(0));
  const second = await ids();
  expect(second).not.toEqual(first);
  await rename(path, `${path}.1`);
  await writeFile(path, line(0) + line(0));
  expect(await ids()).toEqual([...first, ...second]);
});
