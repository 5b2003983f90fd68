import { beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { Front } from './front.ts';
import { ModelServer } from './model-server.ts';
import { OpenClaw } from './openclaw.ts';
import { OPA_TOKEN, Product } from './product.ts';

const COMMAND_MS = 180_000;

let models: ModelServer;
let front: Front;
let openclaw: OpenClaw;

/** What docs/openclaw.md says of each way to a model. Each starts an OpenClaw. */
export function otherWays(): void {
  beforeAll(async () => {
    const [product, server] = await Promise.all([Product.start(), ModelServer.start()]);
    models = server;
    front = await Front.start(product.sidecar);
    const rating = {
      type: 'opa',
      endpoint: `${front.url}/v1/data/openclaw/rate_limit/allow`,
      auth: { bearer: OPA_TOKEN },
      tenant: 'home',
    };
    openclaw = await OpenClaw.install({ models: models.url, rating, env: { OPENCLAW_SKIP_CRON: '0' } });
  }, BRING_TIMEOUT_MS);

  /** How many model calls there were meanwhile, and for how many of them the sidecar was asked. */
  async function during(work: () => Promise<unknown>) {
    const [calls, asked] = [models.calls.length, front.forwarded.length];
    await work();
    const decisions = front.forwarded.slice(asked).filter(({ path }) => path.startsWith('/v1/data'));
    return { calls: models.calls.length - calls, decisions: decisions.length };
  }

  test.each([
    ['agent --local', ['agent', '--local', '--agent', 'main', '--message', 'Hello'], 1],
    ['agent exec', ['agent', 'exec', 'Hello'], 0],
    ['infer model run', ['infer', 'model', 'run', '--prompt', 'Hello'], 0],
  ])('openclaw %s', { timeout: COMMAND_MS }, async (_name, args, decisions) => {
    expect(await during(() => openclaw.command(...args))).toEqual({ calls: 1, decisions });
  });

  describe('with a gateway', () => {
    beforeAll(() => openclaw.start(), COMMAND_MS);

    test('openclaw infer model run --gateway', { timeout: COMMAND_MS }, async () => {
      const command = ['infer', 'model', 'run', '--gateway', '--prompt', 'Hello'];
      expect(await during(() => openclaw.command(...command))).toEqual({ calls: 1, decisions: 1 });
    });

    test('a cron job', { timeout: COMMAND_MS }, async () => {
      const job = [
        'cron',
        'add',
        '--name',
        'greet',
        '--at',
        '1s',
        '--session',
        'isolated',
        '--message',
        'Hello',
        '--no-deliver',
      ];
      const counted = await during(async () => {
        const before = models.calls.length;
        const said = await openclaw.command(...job);
        await eventually(() => expect(models.calls.length, said).toBe(before + 1), { timeoutMs: 60_000 });
      });
      expect(counted).toEqual({ calls: 1, decisions: 1 });
    });
  });
}
