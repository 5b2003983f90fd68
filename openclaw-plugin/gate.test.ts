import type { AgentContext } from 'openclaw/plugin-sdk/plugin-entry';
import { describe, expect, test } from 'vitest';
import { Estimator } from './estimate.ts';
import { Gate } from './gate.ts';
import { Meter } from './meter.ts';
import type { Entry } from './outbox.ts';
import { Runs } from './runs.ts';
import { readSettings, type Settings } from './settings.ts';
import { type NoDecision, Sidecar, type Verdict } from './sidecar.ts';
import { CHANGED_MODEL, UNREACHABLE } from './wording.ts';

const CTX: AgentContext = { runId: 'r1', agentId: 'main', modelProviderId: 'lab', modelId: 'big' };
const EVENT = { prompt: 'Hello', systemPrompt: 'x'.repeat(4_000), messages: [] };
const ALLOWED = { allow: true, reason: 'ok', message: '', warnings: [], obligations: {} };
const DENIED = { allow: false, reason: 'budget_exceeded', message: 'Your budget is used up.', warnings: [] };

type Answer = { status?: number; body: unknown } | Error;

/** A gate before a sidecar that answers so, one question after the other, and goes on with the last answer. */
function open(answers: Answer[], config: object = {}) {
  const settings = readSettings({ endpoint: 'http://s/v1/data/p/allow', ...config }, {}) as Settings;
  const asked: { url: string; input: Record<string, unknown> }[] = [];
  const told: Entry[] = [];
  const heard: (Verdict | NoDecision)[] = [];
  let time = 0;
  const fetcher = async (url: unknown, init?: RequestInit) => {
    asked.push({ url: String(url), input: JSON.parse(String(init?.body)).input });
    const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? new Error('no answer');
    time += 400;
    if (answer instanceof Error) throw answer;
    return new Response(JSON.stringify(answer.body), { status: answer.status ?? 200 });
  };
  const runs = new Runs();
  const estimator = new Estimator();
  const sidecar = new Sidecar(settings, fetcher);
  const deps = { settings, sidecar, runs, estimator, warn: () => undefined, elapsed: () => time };
  const gate = new Gate({ ...deps, tell: (entry) => told.push(entry), heard: (outcome) => heard.push(outcome) });
  const meter = new Meter({ runs, estimator, tell: async (entry) => void told.push(entry) });
  return { gate, meter, asked, told, heard, runs };
}

const decided = (result: object, decision_id = 'd1'): Answer => ({ body: { result, decision_id } });
const refused = Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNREFUSED' } });
const reset = Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNRESET' } });
const PASS = { outcome: 'pass' };

describe('a run', () => {
  test('is asked for in earnest once, with what it is expected to use', async () => {
    const { asked, gate } = open([decided(ALLOWED)]);
    expect(await gate.reply('Hello', CTX)).toBeUndefined();
    expect(await gate.model('Hello', CTX)).toBeUndefined();
    expect(await gate.attempt(EVENT, CTX)).toEqual(PASS);
    expect(asked.map(({ url }) => url)).toEqual([
      'http://s/v1/data/p/decision?dry_run=true',
      'http://s/v1/data/p/decision',
    ]);
    expect(asked[1]?.input).toEqual({
      tenant_id: 'main',
      agent_id: 'main',
      model: 'lab/big',
      prompt_chars: 5,
      input_tokens: Math.ceil((4_005 / 4) * 1.35),
      max_output_tokens: 500,
      estimated_tokens: Math.ceil((4_005 / 4) * 1.35) + 500,
      run_id: 'r1',
      request_id: 'r1:2',
    });
  });

  test('is asked for once more where the connection was broken, as the same question', async () => {
    const { asked, gate, heard } = open([reset, decided(ALLOWED)]);
    expect(await gate.attempt(EVENT, CTX)).toEqual(PASS);
    expect(asked.map(({ input }) => input.request_id)).toEqual(['r1:1', 'r1:1']);
    expect(heard).toMatchObject([{ allow: true }]);
  });

  test('that is refused is asked for in earnest, so that the refusal is on record', async () => {
    const { asked, gate } = open([decided(DENIED)]);
    expect(await gate.reply('Hello', CTX)).toBe('Your budget is used up.');
    expect(asked.map(({ url }) => url.includes('dry_run'))).toEqual([true, false]);
  });

  test('that has room when it is asked for again goes on with that decision', async () => {
    const { asked, gate, runs } = open([decided(DENIED), decided(ALLOWED, 'd2')]);
    expect(await gate.reply('Hello', CTX)).toBeUndefined();
    expect(await gate.attempt(EVENT, CTX)).toEqual(PASS);
    expect(asked).toHaveLength(2);
    expect(runs.of(CTX).open?.decisionId).toBe('d2');
  });

  test('gets the model that is wanted for it', async () => {
    const cheaper = decided({ ...ALLOWED, obligations: { force_model: 'lab/small/v2' } });
    const { gate } = open([cheaper]);
    expect(await gate.model('Hello', CTX)).toEqual({ providerOverride: 'lab', modelOverride: 'small/v2' });
    expect(await gate.attempt(EVENT, { ...CTX, modelId: 'small/v2' })).toEqual(PASS);
  });

  test('that goes on with another model than was wanted is refused and given back', async () => {
    const { gate, told } = open([decided({ ...ALLOWED, obligations: { force_model: 'lab/small' } })]);
    expect(await gate.attempt(EVENT, CTX)).toMatchObject({ outcome: 'block', message: CHANGED_MODEL });
    expect(told).toMatchObject([{ decisionId: 'd1', report: { outcome: 'cancelled', usage: { input: 0 } } }]);
  });

  test('that OpenClaw tries again after a failure goes on with its model, by a decision of its own', async () => {
    const { asked, gate, meter } = open([
      decided(ALLOWED),
      decided({ ...ALLOWED, obligations: { force_model: 'lab/small' } }),
    ]);
    expect(await gate.attempt(EVENT, CTX)).toEqual(PASS);
    const last = { stopReason: 'error', errorMessage: '429 wait' };
    await meter.output({ runId: 'r1', provider: 'lab', model: 'big', assistantTexts: [], lastAssistant: last });
    expect(await gate.attempt(EVENT, CTX)).toEqual(PASS);
    expect(asked.map(({ input }) => input.request_id)).toEqual(['r1:1', 'r1:2']);
  });
});

describe('a plain OPA', () => {
  test('that knows yes and no is asked for that, and gets no reports', async () => {
    const { asked, gate, meter, told } = open([{ body: {} }, { body: { result: true } }]);
    expect(await gate.attempt(EVENT, CTX)).toEqual(PASS);
    await meter.output({ runId: 'r1', provider: 'lab', model: 'big', assistantTexts: ['Hi'], usage: { input: 1 } });
    expect(asked.map(({ url }) => url)).toEqual(['http://s/v1/data/p/decision', 'http://s/v1/data/p/allow']);
    expect(told).toEqual([]);
  });

  test('with a policy of another name is asked for it', async () => {
    const { asked, gate } = open([{ body: { result: false } }], { endpoint: 'http://s/v1/data/may_ask' });
    expect(await gate.attempt(EVENT, CTX)).toMatchObject({ outcome: 'block' });
    expect(asked.map(({ url }) => url)).toEqual(['http://s/v1/data/may_ask']);
  });
});

describe('no decision', () => {
  const answers: [string, Answer, boolean][] = [
    ['nobody listens', refused, false],
    ['the connection breaks', reset, true],
    ['500', { status: 500, body: { message: 'failed' } }, true],
    ['401', { status: 401, body: { message: 'who?' } }, false],
    ['{}', { body: {} }, true],
    ['a result of another shape', { body: { result: { allow: 'yes' } } }, true],
  ];

  test.each(answers)('%s: refused, and given back where it may have been made', async (_name, answer, maybeTaken) => {
    const { gate, told } = open([answer]);
    expect(await gate.attempt(EVENT, CTX)).toEqual({ outcome: 'block', reason: 'no_decision', message: UNREACHABLE });
    expect(told.map(({ question, report }) => [question?.request_id, report.outcome])).toEqual(
      maybeTaken ? [['r1:1', 'cancelled']] : [],
    );
  });

  test.each(answers)('%s: let through where it is to be, and reported with its question', async (_name, answer) => {
    const { gate, meter, told } = open([answer], { on_failure: 'allow' });
    expect(await gate.reply('Hello', CTX)).toBeUndefined();
    expect(await gate.attempt(EVENT, CTX)).toEqual(PASS);
    await meter.output({
      runId: 'r1',
      provider: 'lab',
      model: 'big',
      assistantTexts: ['Hi'],
      usage: { input: 9, output: 1 },
    });
    expect(told).toMatchObject([{ question: { run_id: 'r1' }, report: { outcome: 'succeeded', usage: { input: 9 } } }]);
  });

  test('all questions of a run wait no longer than one may', async () => {
    const { asked, gate } = open([reset], { timeout_ms: 700, on_failure: 'allow' });
    await gate.reply('Hello', CTX);
    await gate.attempt(EVENT, CTX);
    expect(await gate.attempt(EVENT, CTX)).toEqual(PASS);
    expect(asked).toHaveLength(2);
  });
});
