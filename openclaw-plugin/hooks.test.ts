import type { PluginApi } from 'openclaw/plugin-sdk/plugin-entry';
import { expect, test } from 'vitest';
import { Estimator } from './estimate.ts';
import type { Gate } from './gate.ts';
import { registerGate } from './hooks.ts';
import { Meter } from './meter.ts';
import { Runs } from './runs.ts';
import { UNREACHABLE } from './wording.ts';

// biome-ignore lint/suspicious/noExplicitAny: as OpenClaw calls them
type Handler = (event: any, ctx: any) => Promise<unknown>;

/** The hooks of a gate that does something unheard of. */
function open(broken: () => Promise<never>, onFailure: 'deny' | 'allow') {
  const hooks = new Map<string, Handler>();
  const errors: string[] = [];
  const log = { info: () => undefined, warn: () => undefined, error: (line: string) => void errors.push(line) };
  const runs = new Runs();
  const gate = { reply: broken, model: broken, attempt: broken } as unknown as Gate;
  const meter = new Meter({ runs, estimator: new Estimator(), tell: broken });
  const api = { on: (name: string, handler: Handler) => void hooks.set(name, handler) } as unknown as PluginApi;
  const settings = { onFailure, denyStyle: 'reply' as const, footer: true, timeoutMs: 20 };
  registerGate(api, { gate, meter, runs, log, settings });
  const call = (name: string, event: object = {}) => hooks.get(name)?.(event, { runId: 'r' });
  return { call, errors, runs };
}

const throws = () => Promise.reject(new Error('unheard of'));
const hangs = () => new Promise<never>(() => undefined);

test.each([
  ['throws', throws, /unheard of/],
  ['hangs', hangs, /no end after/],
])('a gate that %s: refused, and said', async (_name, broken, said) => {
  const { call, errors } = open(broken, 'deny');
  expect(await call('before_agent_reply')).toEqual({ handled: true, reply: { text: UNREACHABLE } });
  expect(await call('before_model_resolve')).toBeUndefined();
  expect(await call('before_agent_run')).toMatchObject({ outcome: 'block', message: UNREACHABLE });
  expect(errors).toHaveLength(3);
  for (const error of errors) expect(error).toMatch(said);
});

test.each([
  ['throws', throws],
  ['hangs', hangs],
])('a gate that %s: let through where it is to be', async (_name, broken) => {
  const { call } = open(broken, 'allow');
  expect(await call('before_agent_reply')).toBeUndefined();
  expect(await call('before_agent_run')).toEqual({ outcome: 'pass' });
});

test('notes come under the first text of the answer, once, and under nothing else', async () => {
  const { call, runs } = open(throws, 'deny');
  runs.of({ runId: 'r' }).notes = '1 of 2';
  const send = (payload: object, kind = 'final') => call('reply_payload_sending', { payload, kind, runId: 'r' });
  expect(await send({ text: 'Thinking' }, 'block')).toBeUndefined();
  expect(await send({ text: 'Fallback', isFallbackNotice: true })).toBeUndefined();
  expect(await send({ text: 'Failed', isError: true })).toBeUndefined();
  expect(await send({ mediaUrl: 'x' })).toBeUndefined();
  expect(await send({ text: 'Hi', more: 1 })).toEqual({ payload: { text: 'Hi\n\n1 of 2', more: 1 } });
  expect(await send({ text: 'And' })).toBeUndefined();
});
