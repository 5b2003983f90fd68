import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { TestClock } from '../../test/helpers/clock.ts';
import { eventually } from '../../test/helpers/eventually.ts';
import { logDecisions, SILENT } from '../../test/helpers/log-entries.ts';
import { ConsoleSink } from './console-sink.ts';
import { DecisionLogCounts } from './counts.ts';
import { DecisionLog, type DecisionLogOptions } from './decision-log.ts';
import type { DecisionEvent } from './event.ts';
import { LogPolicy } from './log-policy.ts';
import type { Line, Sink } from './sink.ts';

const clock = new TestClock();
let said: string[];
let counts: DecisionLogCounts;
let sink: HeldSink;
const log = pino({ level: 'error' }, { write: (line: string) => void said.push(line) });

/** Keeps what it is given, once it is let go. */
class HeldSink implements Sink {
  readonly status = { lost: undefined };
  readonly events: DecisionEvent[] = [];
  release: () => void = () => {};
  held: Promise<void> = Promise.resolve();
  closed = false;

  hold(): void {
    this.held = new Promise((resolve) => {
      this.release = resolve;
    });
  }

  async write(lines: readonly Line[]): Promise<void> {
    await this.held;
    this.events.push(...lines.map(({ json }) => JSON.parse(json)));
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

beforeEach(() => {
  said = [];
  counts = new DecisionLogCounts();
  sink = new HeldSink();
});

function open(more: Partial<DecisionLogOptions> = {}): DecisionLog {
  const content = more.content ?? 'full';
  const policy = new LogPolicy({ labels: {}, content, counts, log, complain: () => true });
  return new DecisionLog({ policy, content, sinks: [sink], counts, clock, log, ...more });
}

const begin = (decisionLog: DecisionLog) => decisionLog.begin({ policy: SILENT, path: 'a/b', requestedBy: undefined });

test('writes in the order of the answers, whatever is answered meanwhile', async () => {
  const decisionLog = open();
  const ids = logDecisions(decisionLog, 500);
  await eventually(() => expect(sink.events.length).toBeGreaterThan(0));
  ids.push(...logDecisions(decisionLog, 500));
  await eventually(() => expect(sink.events).toHaveLength(1_000));
  expect(sink.events.map(({ decision_id }) => decision_id)).toEqual(ids);
  expect(sink.events.map(({ req_id }) => req_id)).toEqual(Array.from({ length: 1_000 }, (_, n) => n + 1));
  expect(decisionLog.queued).toBe(0);
});

test('a request waits for nothing: not even the first event is made before its answer', async () => {
  const decisionLog = open();
  logDecisions(decisionLog, 10);
  expect(sink.events).toEqual([]);
  expect(decisionLog.queued).toBe(10);
});

describe('a queue that is full', () => {
  test('of decisions: the youngest are dropped and counted', async () => {
    const decisionLog = open({ maxEvents: 100 });
    sink.hold();
    const ids = logDecisions(decisionLog, 150);
    await new Promise(setImmediate);
    ids.push(...logDecisions(decisionLog, 50));
    expect(decisionLog.queued).toBe(100);
    expect(counts.dropped('queue_full')).toBe(100);
    sink.release();
    await eventually(() => expect(sink.events).toHaveLength(100));
    expect(sink.events.map(({ decision_id }) => decision_id)).toEqual(ids.slice(0, 100));
    expect(logDecisions(decisionLog, 100)).toHaveLength(100);
    await eventually(() => expect(sink.events).toHaveLength(200));
    expect(counts.recorded).toBe(300);
  });

  test('of characters: what is long is dropped, what still fits is not', async () => {
    const decisionLog = open({ maxCharacters: 10_000 });
    begin(decisionLog).plain(JSON.stringify({ prompt: 'x'.repeat(9_000) }), true);
    begin(decisionLog).plain(JSON.stringify({ prompt: 'x'.repeat(9_000) }), true);
    begin(decisionLog).plain('{}', { documents: 'x'.repeat(9_000) });
    begin(decisionLog).plain('{}', true);
    expect(counts.dropped('queue_full')).toBe(2);
    await eventually(() => expect(sink.events).toHaveLength(2));
    // All of it is free again.
    begin(decisionLog).plain(JSON.stringify({ prompt: 'x'.repeat(9_900) }), true);
    await eventually(() => expect(sink.events).toHaveLength(3));
  });

  test('a document that nobody will see takes no room', async () => {
    const decisionLog = open({ maxCharacters: 1_000, content: 'known' });
    begin(decisionLog).plain('{}', { documents: 'x'.repeat(9_000) });
    await eventually(() => expect(sink.events).toMatchObject([{ erased: ['/result'] }]));
    expect(sink.events[0]).not.toHaveProperty('result');
  });
});

test('an error in place of a result, as the answer says it', async () => {
  const decisionLog = open();
  const errors = [{ code: 'eval_error', message: 'two values' }];
  begin(decisionLog).failed('{"a":1}', { code: 'internal_error', message: 'error(s) occurred', errors });
  begin(decisionLog).failed(undefined, { code: 'internal_error', message: 'broken' });
  await eventually(() => expect(sink.events).toHaveLength(2));
  expect(sink.events).toMatchObject([
    { input: { a: 1 }, error: { code: 'eval_error', message: 'two values' } },
    { error: { code: 'internal_error', message: 'broken' } },
  ]);
  for (const event of sink.events) expect(event).not.toHaveProperty('result');
});

test.each([null, false, 0, ''])('tells %j from no input and no result', async (value) => {
  const decisionLog = open();
  begin(decisionLog).plain(JSON.stringify(value), value);
  begin(decisionLog).plain(undefined, undefined);
  await eventually(() => expect(sink.events).toHaveLength(2));
  expect(sink.events[0]).toMatchObject({ input: value, result: value });
  expect(sink.events[1]).not.toHaveProperty('input');
  expect(sink.events[1]).not.toHaveProperty('result');
});

test('says when it was asked and how long it took', async () => {
  const decisionLog = open();
  const logged = begin(decisionLog);
  const at = new Date(clock.now()).toISOString();
  clock.advance(12.5);
  logged.plain(undefined, true);
  await eventually(() => expect(sink.events).toHaveLength(1));
  expect(sink.events[0]).toMatchObject({ timestamp: at, metrics: { timer_server_handler_ns: 12_500_000 } });
});

describe('close', () => {
  test('writes what is queued', async () => {
    const decisionLog = open();
    const ids = logDecisions(decisionLog, 300);
    await decisionLog.close();
    expect(sink.events.map(({ decision_id }) => decision_id)).toEqual(ids);
    expect(sink.closed).toBe(true);
  });

  test('counts what comes later', async () => {
    const decisionLog = open();
    await decisionLog.close();
    logDecisions(decisionLog, 3);
    expect(counts.dropped('closed')).toBe(3);
  });

  test('does not wait for ever: what is left is counted', async () => {
    const decisionLog = open();
    sink.hold();
    logDecisions(decisionLog, 300);
    setTimeout(() => sink.release(), 4_000);
    await decisionLog.close();
    expect(sink.events.length + counts.dropped('closed')).toBe(300);
    expect(counts.dropped('closed')).toBeGreaterThan(0);
    expect(decisionLog.queued).toBe(0);
  });
});

test('the console has them whatever the level is, and with what tells them from other lines', async () => {
  const decisionLog = open({ sinks: [new ConsoleSink(log, counts)] });
  log.warn('not this one');
  logDecisions(decisionLog, 2);
  await eventually(() => expect(said).toHaveLength(2));
  expect(JSON.parse(said[0] ?? '')).toMatchObject({
    type: 'openpolicyagent.org/decision_logs',
    msg: 'Decision Log',
    path: 'test/logged/echo',
    input: { input_tokens: 0 },
  });
});
