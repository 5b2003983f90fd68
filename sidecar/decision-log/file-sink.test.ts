import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ConfigError } from '../../runtime/config/config-error.ts';
import { tempDir } from '../../test/helpers/temp-dir.ts';
import { DecisionLogCounts } from './counts.ts';
import type { DecisionEvent } from './event.ts';
import { FileSink } from './file-sink.ts';

let folder: string;
let counts: DecisionLogCounts;
let errors: unknown[];
let open: FileSink[];

beforeEach(async () => {
  folder = join(await tempDir('file-sink'), 'files');
  counts = new DecisionLogCounts();
  errors = [];
  open = [];
});

afterEach(async () => {
  for (const sink of open) await sink.close();
});

async function start({ maxBytes = 1_000, maxFiles = 3 } = {}): Promise<FileSink> {
  const sink = await FileSink.open({ folder, maxBytes, maxFiles, counts, complain: (error) => errors.push(error) });
  open.push(sink);
  return sink;
}

/** A line of 100 bytes, with its end. */
const line = (n: number) => {
  const json = JSON.stringify({ n, fill: '' });
  return { event: {} as DecisionEvent, json: json.replace('""', `"${'x'.repeat(99 - json.length)}"`) };
};
const lines = (from: number, count: number) => Array.from({ length: count }, (_, n) => line(from + n));

async function numbersIn(name: string): Promise<number[]> {
  const text = await readFile(join(folder, name), 'utf8');
  return text
    .split('\n')
    .filter(Boolean)
    .map((each) => JSON.parse(each).n);
}

const files = async () => (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).toSorted();
const upTo = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

test('a full file is put aside, and the oldest goes', async () => {
  const sink = await start();
  await sink.write(lines(0, 8));
  await sink.write(lines(8, 25));
  expect(await files()).toEqual(['decisions.1.jsonl', 'decisions.2.jsonl', 'decisions.jsonl']);
  expect(await numbersIn('decisions.2.jsonl')).toEqual(upTo(10, 20));
  expect(await numbersIn('decisions.1.jsonl')).toEqual(upTo(20, 30));
  expect(await numbersIn('decisions.jsonl')).toEqual(upTo(30, 33));
});

test('one file is a number as well', async () => {
  const sink = await start({ maxFiles: 1 });
  await sink.write(lines(0, 25));
  expect(await files()).toEqual(['decisions.jsonl']);
  expect(await numbersIn('decisions.jsonl')).toEqual(upTo(20, 25));
});

test('a line that is longer than a file may be has one to itself', async () => {
  const sink = await start({ maxBytes: 150 });
  await sink.write(lines(0, 2));
  const long = { ...line(7), json: JSON.stringify({ n: 7, fill: 'x'.repeat(500) }) };
  await sink.write([long, line(8)]);
  expect(await numbersIn('decisions.1.jsonl')).toEqual([7]);
  expect(await numbersIn('decisions.jsonl')).toEqual([8]);
});

test('a start goes on where the last one ended, also in the middle of a line', async () => {
  const first = await start();
  await first.write(lines(0, 2));
  open = [];
  await first.close();
  await appendFile(join(folder, 'decisions.jsonl'), '{"n": 2, "cut o');
  const second = await start();
  await second.write(lines(3, 1));
  const text = await readFile(join(folder, 'decisions.jsonl'), 'utf8');
  expect(text.split('\n')).toEqual([line(0).json, line(1).json, '{"n": 2, "cut o', line(3).json, '']);
});

test('another process on the same folder is refused', async () => {
  await start();
  await expect(start()).rejects.toThrow(ConfigError);
});

test('a folder that cannot be made is refused, with what to do', async () => {
  await writeFile(folder, 'a file');
  const refused = start();
  await expect(refused).rejects.toThrow(ConfigError);
  await refused.catch((error: ConfigError) => expect(error.problems[0]).toContain('nothing can be written there'));
});

test('what cannot be written is counted and told, and the next that can is', async () => {
  const sink = await start();
  await sink.write(lines(0, 10));
  // A folder in the way of the rotation, which not even root can remove as a file.
  await mkdir(join(folder, 'decisions.2.jsonl/in the way'), { recursive: true });
  await sink.write(lines(10, 5));
  expect(counts.dropped('file_failed')).toBe(5);
  expect(errors).toHaveLength(1);
  await rm(join(folder, 'decisions.2.jsonl'), { recursive: true });
  await sink.write(lines(15, 5));
  expect(await numbersIn('decisions.jsonl')).toEqual(upTo(15, 20));
  expect(await numbersIn('decisions.1.jsonl')).toEqual(upTo(0, 10));
  expect(counts.dropped('file_failed')).toBe(5);
});
