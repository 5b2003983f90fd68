import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { compiled, packageRoot } from '../../runtime/package-root.ts';
import { readBundle } from '../policy/bundle.ts';
import { Policy } from '../policy/policy.ts';
import { DecisionLogCounts } from './counts.ts';
import type { Entry } from './event.ts';
import { LogPolicy } from './log-policy.ts';

/** On the real policy, in its real thread. */
let policy: Policy;
let counts: DecisionLogCounts;
let said: string[];
let open: LogPolicy[];
const log = pino({ level: 'info' }, { write: (line: string) => void said.push(line) });

const openPolicy = async () =>
  Policy.open({
    bundle: await readBundle(join(packageRoot, 'test/policies/logged.tar.gz')),
    config: {},
    timeoutMs: 1_000,
    threadFile: compiled('sidecar/policy/evaluation-thread.js'),
  });

beforeEach(async () => {
  policy = await openPolicy();
  counts = new DecisionLogCounts();
  said = [];
  open = [];
});

afterEach(async () => {
  for (const each of open) await each.close();
  await policy.close();
});

function start(content: 'known' | 'full' = 'full'): LogPolicy {
  const logPolicy = new LogPolicy({ labels: {}, content, counts, log, complain: () => true });
  open.push(logPolicy);
  return logPolicy;
}

const entry = (input: object, more: Partial<Entry> = {}): Entry => ({
  policy,
  decisionId: 'd1',
  path: 'test/logged/echo',
  input: JSON.stringify(input),
  result: '{"text":"a result"}',
  requestedBy: undefined,
  requestNumber: 1,
  at: 0,
  handlerNs: 1,
  ...more,
});

test('drops, masks and keeps, each as its event says, in order', async () => {
  const entries = [
    entry({ n: 0, secret: 1, mask: ['/input/secret', '/input/mask'] }),
    entry({ n: 1, drop: true }),
    entry({ n: 2, drop: false, mask: [{ op: 'upsert', path: '/result/text', value: '**' }] }),
    entry({ n: 3 }),
  ];
  const events = await start().events(entries);
  expect(events).toMatchObject([
    { input: { n: 0 }, erased: ['/input/secret', '/input/mask'] },
    { input: { n: 2 }, result: { text: '**' }, masked: ['/result/text'] },
    { input: { n: 3 }, result: { text: 'a result' } },
  ]);
  expect(events[0]?.input).toEqual({ n: 0 });
  expect(events[2]).not.toHaveProperty('erased');
  expect(counts.dropped('policy')).toBe(1);
  expect(counts.maskFailures).toBe(0);
});

test('decides on the whole event, also where only what is known is logged', async () => {
  const [event] = await start('known').events([
    entry({
      tenant_id: 'acme',
      prompt: 'a secret',
      mask: ['/input/tenant_id', { op: 'upsert', path: '/input/prompt', value: '**' }],
    }),
  ]);
  expect(event).toMatchObject({
    input: { prompt: '**' },
    erased: ['/input/prompt', '/input/mask', '/result', '/input/tenant_id'],
    masked: ['/input/prompt'],
  });
  expect(event?.input).toEqual({ prompt: '**' });
  expect(JSON.stringify([event, said])).not.toContain('secret');
});

test('a mask that fails, takes too long or has another shape takes input and result with it', async () => {
  const bad = [{ break_mask: true }, { loop: true }, { mask: 'all' }, { mask: ['input'] }];
  const events = await start().events([...bad.map((more) => entry({ secret: 'a secret', ...more })), entry({ n: 1 })]);
  expect(events).toHaveLength(5);
  for (const event of events.slice(0, 4)) {
    expect(event.erased).toEqual(['/input', '/result']);
    expect(JSON.stringify(event)).not.toMatch(/a secret|a result/);
  }
  expect(events[4]).toMatchObject({ input: { n: 1 } });
  expect(counts.maskFailures).toBe(4);
  expect(said).toHaveLength(4);
});

test('the policy that answered masks, also after another one, without masks, has taken its place', async () => {
  const other = { revision: 'r2', isEntrypoint: () => false, spare: () => Promise.reject(new Error('has none')) };
  policy.retire();
  const logPolicy = start();
  const mask = ['/input'];
  const events = await logPolicy.events([
    entry({ n: 0, mask }),
    entry({ n: 1, mask }, { policy: other }),
    entry({ n: 2, mask }),
  ]);
  expect(events.map(({ input }) => input)).toEqual([undefined, { n: 1, mask }, undefined]);
  await policy.close();
  expect(await logPolicy.events([entry({ n: 3, mask })])).toMatchObject([{ erased: ['/input'] }]);
});

test('where its thread cannot be started nothing is logged but that there was a decision, until it can', async () => {
  let fails = true;
  const source = {
    revision: 'r1',
    isEntrypoint: (path: string) => policy.isEntrypoint(path),
    spare: () => (fails ? Promise.reject(new Error('no memory')) : policy.spare()),
  };
  const logPolicy = start();
  const [event] = await logPolicy.events([entry({ secret: 1 }, { policy: source })]);
  expect(event).toMatchObject({ decision_id: 'd1', erased: ['/input', '/result'] });
  fails = false;
  expect(await logPolicy.events([entry({ n: 1 }, { policy: source })])).toMatchObject([{ input: { n: 1 } }]);
  expect(counts.maskFailures).toBe(1);
});

test('what is with the policy when it is closed comes out without its content', async () => {
  const logPolicy = start();
  const waiting = logPolicy.events([
    entry({ loop: true, secret: 1 }),
    entry({ n: 1 }, { policy: await openPolicyOnce() }),
  ]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await logPolicy.close();
  expect((await waiting).map(({ erased }) => erased)).toEqual([
    ['/input', '/result'],
    ['/input', '/result'],
  ]);
});

/** Another object for the same policy, so that its thread would have to be started after the close. */
const openPolicyOnce = async () => ({
  revision: 'r2',
  isEntrypoint: (path: string) => policy.isEntrypoint(path),
  spare: () => policy.spare(),
});
