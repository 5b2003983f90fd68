import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { type Answer, mustRefuseAfter } from '../../bench/neighbours/ask.ts';
import { capacity, capacityTable, costOfMillion } from '../../bench/neighbours/capacity.ts';
import { compare } from '../../bench/neighbours/compare.ts';
import { drive, requestText } from '../../bench/neighbours/load.ts';
import { figuresOf, keepResults, median, type Results } from '../../bench/neighbours/results.ts';
import { grantedOf } from '../../bench/neighbours/round.ts';
import { hono } from '../../bench/neighbours/systems/node-servers.ts';
import { systemsTable, verdictsTable } from '../../bench/neighbours/table.ts';
import { verdicts } from '../../bench/neighbours/targets.ts';
import type { Tools } from '../../bench/neighbours/tools.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS, bringRedis, bringWrk } from '../helpers/bring.ts';
import { tempDir } from '../helpers/temp-dir.ts';

async function tools(): Promise<Tools> {
  const programs: Record<string, () => Promise<string>> = { redis: bringRedis, wrk: bringWrk };
  const bring = async (name: string) => {
    const program = programs[name];
    if (!program) throw new Error(`this test needs no ${name}`);
    return program();
  };
  return { root: packageRoot, node: process.execPath, folder: await tempDir('bench'), bring };
}

test(
  'a short run: real servers, every decision in the books, a row for each, and the ratio of the two',
  async () => {
    const results = await compare(
      { only: ['ours', 'hono'], rounds: 1, seconds: 1, warmUp: 0 },
      await tools(),
      () => {},
    );
    expect(results.systems.map(({ name }) => name)).toEqual(['ours', 'hono']);
    for (const system of results.systems) {
      const [round] = system.rounds;
      expect(round?.decisions).toBeGreaterThan(0);
      expect(round?.cpu.server).toBeGreaterThan(0);
      expect(round?.memory.server).toBeGreaterThan(10);
    }
    expect(figuresOf(results.systems[0] ?? { rounds: [] }).storeMiB).toBeGreaterThan(1);
    expect(systemsTable(results).split('\n')).toHaveLength(4);
    expect(verdicts(results).map(({ what }) => what)).toEqual(['decisions/s to bare Hono, a process each']);
  },
  BRING_TIMEOUT_MS,
);

test('an answer that grants nothing ends the run', async () => {
  const given = await tools();
  const running = await hono.start(given);
  try {
    // A tenant that is no text: the server answers {"result":false}, with status 200.
    const wrong = { ...running, question: { ...running.question, body: '{"input":{"tenant_id":1}}' } };
    const load = { seconds: 1, connections: 2, callers: 10, order: 'in turn', checked: true } as const;
    await expect(drive(wrong, load, given)).rejects.toThrow(/grant nothing, such as: 200 \{"result":false\}/);
    const nowhere = { ...running, question: { ...running.question, path: '/nowhere' } };
    await expect(drive(nowhere, { ...load, checked: false }, given)).rejects.toThrow(/had an error's status/);
  } finally {
    await running.stop();
  }
});

test('books must show what was answered, and say the same', () => {
  const bounds = { decisions: 1_000, atOnce: 64 };
  const before = { metrics: 10, events: 20 };
  expect(grantedOf(before, { metrics: 1_010, events: 1_050 }, bounds)).toBe(1_000);
  expect(grantedOf(before, { metrics: 1_005, events: 1_015 }, bounds)).toBe(995);
  expect(() => grantedOf(before, { metrics: 900, events: 910 }, bounds)).toThrow(/110 grant nothing/);
  expect(() => grantedOf(before, { metrics: 1_010, events: 1_200 }, bounds)).toThrow(/events count 1180/);
  expect(() => grantedOf(before, { metrics: 1_010, events: 920 }, bounds)).toThrow(
    /metrics count 1000, events count 900/,
  );
});

test('a limit that is none is found out', async () => {
  const answers = (...granted: boolean[]) => {
    const left = granted.map((result): Answer => ({ status: 200, text: `{"result":${result}}` }));
    return async () => left.shift() ?? { status: 500, text: '' };
  };
  const granted = '"result":true';
  await mustRefuseAfter(2, answers(true, true, false, false, false), granted);
  await expect(mustRefuseAfter(2, answers(true, true, true), granted)).rejects.toThrow(/must be refused/);
  await expect(mustRefuseAfter(2, answers(true, false), granted, { pauseMs: 0 })).rejects.toThrow(/grants only 1/);
});

test('a request is as long as it says, whoever asks', () => {
  const question = { method: 'POST', path: '/x', body: '{"a":"{0}","b":"ü","c":{new}}', decisions: 1 } as const;
  const text = requestText(question, 'h');
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const sent = body.replace('{0}', '0000007').replace('{new}', '1000001');
  expect(head).toContain(`Content-Length: ${Buffer.byteLength(sent)}`);
});

test('a ratio that is missed is marked, and one of what was not measured is left out', () => {
  const rounds = (perSecond: number, cpu: number) => [
    { perSecond, p50Ms: 1, p99Ms: 2, cpu: { server: cpu, store: 0, generator: 1 }, memory: { server: 1, store: 0 } },
  ];
  const systems = [
    { name: 'ours', title: 'ours', connections: 64, rounds: rounds(900, 100) },
    { name: 'opa', title: 'opa', connections: 64, rounds: rounds(1_000, 200) },
  ];
  const results = { systems, leftOut: [], failed: [], others: { worker: 0.31 } } as unknown as Results;
  const table = verdictsTable(verdicts(results));
  expect(table).toContain('| decisions/s of one process to OPA | ≥ 1 | 0.900 | **no** |');
  expect(table).toContain('| CPU for a decision to OPA | ≤ 0.85 | 0.500 | yes |');
  expect(table).toContain('| billing worker: rows/s to a bare COPY | ≥ 0.3 | 0.310 | yes |');
  expect(table).not.toContain('Upstash');
});

test('what it takes for so many decisions a second', () => {
  const parts = { sidecar: 120, redis: 30, worker: 12, postgres: 18, bytes: 500 };
  expect(capacity(100_000, parts)).toEqual({
    perSecond: 100_000,
    sidecarCores: 20,
    redisMasters: 5,
    workerCores: 2,
    postgresCores: 3,
    ledgerGbADay: 4_320,
  });
  const { computing, disk } = costOfMillion(parts);
  // 180 core seconds of work are 300 of cores that are busy for 60 %, at 0.04 USD an hour.
  expect(computing).toBeCloseTo((300 / 3_600) * 0.04, 10);
  expect(disk).toBeCloseTo(0.5 * 0.12 * 13, 10);
  expect(capacityTable(parts)).toContain('| 1,000,000 | 200.0 | 50 | 20.0 | 30.0 | 43200 |');
});

test('the numbers of a run are kept beside those of every run before', async () => {
  const folder = await tempDir('results');
  const run = (failed: string[]) =>
    keepResults(folder, { date: '2026-01-02T03:04:05Z', commit: 'abc', failed } as unknown as Results);
  const files = [await run(['a']), await run(['b']), await run([])];
  expect(files.map((file) => file.slice(folder.length + 1))).toEqual([
    '2026-01-02-abc.json',
    '2026-01-02-abc-2.json',
    '2026-01-02-abc-3.json',
  ]);
  expect(JSON.parse(await readFile(files[0] ?? '', 'utf8'))).toMatchObject({ failed: ['a'] });
});

test('the middle of some', () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([5])]).toEqual([2, 2.5, 5]);
});
