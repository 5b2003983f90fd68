import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringOpa } from '../helpers/bring.ts';
import { buildBundle } from '../helpers/bundles.ts';
import { fullLength } from '../helpers/full-length.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { get, post, type Reply } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/**
 * A metered policy that goes wrong in the way that its input asks for, in a real sidecar on a real Redis. `way` goes
 * wrong in the plan, `later` in the decision, when the counters have been charged.
 */
const REGO = `package test.wrong

_limit(cost) := {
	"id": "a",
	"subject": {"type": "tenant", "id": input.tenant_id},
	"unit": "tokens",
	"kind": "token_bucket",
	"capacity": 10,
	"cost": cost,
	"settles": false,
	"refill": {"amount": 1, "per_seconds": 86400, "mode": "interval"},
	"on_exceed": "deny",
}

_numbers := {n | some n in numbers.range(1, 100000)}

_loops if {
	some one in _numbers
	some other in _numbers
	one + other < 0
}

_large := [row |
	some i in numbers.range(1, 100000)
	row := [cell | some j in numbers.range(1, 1000); cell := i * j]
]

_wrong(way) := _loops if way == "loop"

_wrong(way) := _large if way == "memory"

_wrong(way) := value if {
	way == "conflict"
	some value in [1, 2]
}

_wrong(way) := "text" if way == "string"

_wrong(way) := null if way == "null"

_wrong(way) := ["list"] if way == "list"

_costs := {
	"fine": 1,
	"negative": -1,
	"fraction": 1.5,
	"huge": 1e400,
	"above": 9007199254740993,
	"text": "1",
	"NaN": "NaN",
	"none": null,
}

# METADATA
# scope: document
# entrypoint: true
plan := {"limits": [_limit(_costs[object.get(input, "cost", "fine")])]} if not input.way

plan := _wrong(input.way) if input.way

# METADATA
# scope: document
# entrypoint: true
decision := {"allow": input.outcome.granted, "reason": "ok", "status": 200, "message": ""} if not input.later

decision := _wrong(input.later) if input.later

# METADATA
# scope: document
# entrypoint: true
default allow := false

allow if decision.allow
`;

let environment: Record<string, string>;
let sidecar: Service;

beforeAll(async () => {
  await bringOpa();
  const redis: RedisServer = await startRedis();
  const file = join(await tempDir('policies'), 'bundle.tar.gz');
  await writeFile(file, await buildBundle({ 'wrong.rego': REGO }, []));
  environment = {
    REDIS_URL: redis.url,
    DATA_DIR: await tempDir('data'),
    POLICY_BUNDLE: file,
    // A busy machine is not what is looked at: at 250 ms its waits could be taken for a loop.
    STORE_TIMEOUT_MS: '5000',
    POLICY_TIMEOUT_MS: '500',
  };
  sidecar = await startSidecar(environment);
}, BRING_TIMEOUT_MS);

const decide = (input: object): Promise<Reply> => post(`${sidecar.url}/v1/data/test/wrong`, { input });

/** What of its 10 tokens a tenant has left, as nobody else takes any: as many more as are granted. */
async function left(tenant_id: string): Promise<number> {
  for (let taken = 0; ; taken++) {
    const { body } = await decide({ tenant_id });
    if (!body.result.allow) return taken;
  }
}

const WAYS = ['loop', 'memory', 'conflict', 'string', 'null', 'list', 'nothing'];
const COSTS = ['negative', 'fraction', 'huge', 'above', 'text', 'NaN', 'none', 'unheard-of'];

const CASES: [string, object][] = [
  ...WAYS.map((way): [string, object] => [`a plan: ${way}`, { way }]),
  ...WAYS.map((later): [string, object] => [`a decision: ${later}`, { later }]),
  ...COSTS.map((cost): [string, object] => [`a cost: ${cost}`, { cost }]),
];

describe('is denied with policy_error, and nothing is taken', () => {
  test.each(CASES)('%s', { timeout: 60_000 }, async (name, input) => {
    const tenant_id = name.replaceAll(/\W/g, '-');
    const [reply, ...others] = await Promise.all([
      decide({ tenant_id, ...input }),
      ...Array.from({ length: 5 }, (_, index) => decide({ tenant_id: `other-${tenant_id}`, index })),
    ]);
    expect(reply?.status).toBe(200);
    expect(reply?.body.result).toMatchObject({
      allow: false,
      decision: { allow: false, reason: 'policy_error', status: 500 },
    });
    expect(others.map(({ body }) => body.result.allow)).toEqual([true, true, true, true, true]);
    expect(await left(tenant_id)).toBe(10);
  });
});

describe('inputs that loop keep nobody waiting', () => {
  const looping = (n: number, round: number) => ({ tenant_id: 'l', way: 'loop', n, round });
  const refused = (reason: unknown) => expect(reason).toBe('policy_error');

  /** Asks while they go on, and gives how long the answer took. */
  async function servedWhile(asked: Promise<unknown>, name: string): Promise<number> {
    let ended = false;
    void asked.then(() => {
      ended = true;
    });
    const start = performance.now();
    const { body } = await decide({ tenant_id: name });
    expect(body.result.allow).toBe(true);
    const waited = performance.now() - start;
    // Uninterrupted, one would take minutes.
    expect(ended).toBe(false);
    return waited;
  }

  test.each(fullLength ? [1, 3, 10] : [3])('%i at once', { timeout: 60_000 }, async (loops) => {
    const waits: number[] = [];
    for (let round = 0; round < 3; round++) {
      const asked = Promise.all(Array.from({ length: loops }, (_, n) => decide(looping(n, round))));
      waits.push(await servedWhile(asked, `behind-${loops}-${round}`));
      for (const { body } of await asked) refused(body.result.decision.reason);
    }
    // A busy machine is not what is looked at.
    expect(Math.min(...waits)).toBeLessThan(1_000);
  });

  test.runIf(fullLength)('64 in one batch, with one among them that does not loop', { timeout: 60_000 }, async () => {
    const waits: number[] = [];
    for (let round = 0; round < 3; round++) {
      const names = Array.from({ length: 64 }, (_, n) => [`${n}`, looping(n, round)]);
      const inputs = Object.fromEntries([...names, ['fine', { tenant_id: `among-${round}` }]]);
      const asked = post(`${sidecar.url}/v1/batch/data/test/wrong`, { inputs });
      waits.push(await servedWhile(asked, `behind-64-${round}`));
      const { fine, ...others } = (await asked).body.responses;
      expect(fine.result.allow).toBe(true);
      expect(Object.keys(others)).toHaveLength(64);
      for (const { result } of Object.values<Reply['body']>(others)) refused(result.decision.reason);
    }
    expect(Math.min(...waits)).toBeLessThan(1_000);
    expect(await left('l')).toBe(10);
  });

  test('are counted, and one that comes again is not even tried', { timeout: 60_000 }, async () => {
    // Left alone for 300 ms, the loop ends by using up its memory.
    const { url } = await startSidecar({ ...environment, POLICY_TIMEOUT_MS: '100' });
    const counts = async () => {
      const { body } = await get(`${url}/metrics`);
      const lines = String(body).matchAll(/^openclaw_policy_slow_evaluations_total\{result="(\w+)"\} (\d+)$/gm);
      return Object.fromEntries([...lines].map(([, result = '', count]) => [result, Number(count)]));
    };
    const again = () => post(`${url}/v1/data/test/wrong`, { input: looping(0, 99) });
    refused((await again()).body.result.decision.reason);
    expect(await counts()).toEqual({ moved: 1, timed_out: 1, refused: 0 });
    refused((await again()).body.result.decision.reason);
    expect(await counts()).toEqual({ moved: 1, timed_out: 1, refused: 1 });
  });
});
