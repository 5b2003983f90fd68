import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, bench, describe } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { authSchema } from '../../schemas/config/auth.ts';
import { usersSchema } from '../../schemas/config/users.ts';
import type { Outcome, Plan } from '../../schemas/policy-io.ts';
import type { CounterStore, TakeRequest } from '../../sidecar/counters/contract.ts';
import { partitionKeys } from '../../sidecar/counters/keys.ts';
import { encodeDecision } from '../../sidecar/counters/redis/encode-decision.ts';
import type { Answer } from '../../sidecar/decision/answer.ts';
import { newDecisionId } from '../../sidecar/decision/decision-id.ts';
import { type DecisionRequest, readRequest } from '../../sidecar/decision/request.ts';
import { FailedAttempts } from '../../sidecar/identity/failed-attempts.ts';
import { identifier } from '../../sidecar/identity/identify.ts';
import { KnownUsers } from '../../sidecar/identity/known-users.ts';
import type { Policy } from '../../sidecar/policy/policy.ts';
import { parseJson } from '../../sidecar/routes/json.ts';
import { rateLimitHeaders } from '../../sidecar/routes/rate-limit-headers.ts';
import { openPolicy } from '../../sidecar/workbench/open-policy.ts';
import { openEmbedded } from '../../test/conformance/stores/embedded.ts';
import { RedisStores } from '../../test/conformance/stores/redis.ts';

/** Each phase is done so often in what counts as one: a timer is too coarse for a microsecond. */
const TIMES = 100;
const PKG = 'openclaw/rate_limit';
const CALLERS = 1_000;
const OPTIONS = { time: 300, warmupTime: 100 };

const body = (caller: number, more = '') =>
  `{"input":{"tenant_id":"tenant-${caller}","user_id":"user-${caller}","model":"anthropic/claude-sonnet-4-5","channel":"telegram"${more}}}`;
const bodies = Array.from({ length: CALLERS }, (_, caller) => body(caller));
const inputs = bodies.map((text) => JSON.parse(text).input);
const requests = inputs.map((input) => readRequest(PKG, input, undefined));
const keys = partitionKeys(0);
const token = 'a-token-of-the-service';

let policy: Policy;
let plans: Plan[];
let redis: CounterStore;
let embedded: CounterStore;
let outcomes: Outcome[];
let unheard = 0;

beforeAll(async () => {
  const file = join(packageRoot, 'policies/dist/bundle.tar.gz');
  const configDir = join(packageRoot, 'bench/neighbours/config');
  policy = await openPolicy({ bytes: readFileSync(file), name: file, configDir, variables: {} });
  plans = await Promise.all(requests.map(async ({ input }) => policy.plan(PKG, input)));
  redis = (await (await RedisStores.start()).open()).store;
  embedded = (await openEmbedded()).store;
  outcomes = await Promise.all(plans.map(async (plan, at) => (await embedded.peek(plan, `tenant-${at}`)).outcome));
});
afterAll(() => policy?.close());

const each = (work: (caller: number) => void) => () => {
  for (let caller = 0; caller < TIMES; caller++) work(caller);
};
/** As many callers at once as come in one turn of a busy sidecar. */
const together = (work: (caller: number) => unknown) => async () => {
  await Promise.all(Array.from({ length: TIMES }, (_, caller) => work(caller)));
};

const taking = (request: DecisionRequest, plan: Plan): TakeRequest => ({
  decisionId: newDecisionId(systemClock.now(), 0),
  plan,
  event: { ...request.subject, policy_revision: policy.revision },
  requestId: undefined,
  fingerprint: '',
});

const answerOf = (caller: number): Answer => ({
  decisionId: '',
  decision: { allow: true, reason: 'ok', status: 200, message: '', warnings: [], obligations: {} },
  outcome: outcomes[caller],
  plan: plans[caller],
  replayed: false,
  policyRevision: '',
  at: 0,
});

const take = (store: () => CounterStore) =>
  together((caller) => store().take(taking(requests[caller] as DecisionRequest, plans[caller] as Plan)));

describe('phases of a decision', () => {
  const identify = identifier({
    tokens: [token],
    auth: authSchema.parse({}).authentication,
    users: new KnownUsers(usersSchema.parse({})),
    issued: { find: () => undefined },
    attempts: new FailedAttempts(systemClock),
    addressOf: () => undefined,
    byToken: undefined,
    byProxy: undefined,
  });
  const shown = { authorization: `Bearer ${token}`, apiKey: undefined, values: () => [], address: '127.0.0.1' };

  bench(
    'yardstick',
    each((caller) => JSON.stringify(JSON.parse(bodies[caller] as string))),
    OPTIONS,
  );
  bench(
    'read the body',
    each((caller) => parseJson(bodies[caller] as string, 'body')),
    OPTIONS,
  );
  bench(
    'identify',
    each(() => identify(shown)),
    OPTIONS,
  );
  bench(
    'read the request',
    each((caller) => readRequest(PKG, inputs[caller], undefined)),
    OPTIONS,
  );
  bench(
    'plan, remembered',
    together((caller) => policy.plan(PKG, (requests[caller] as DecisionRequest).input)),
    OPTIONS,
  );
  bench(
    'plan, evaluated',
    together((caller) =>
      policy.plan(PKG, `${(requests[caller] as DecisionRequest).input.slice(0, -1)},"n":${unheard++}}`),
    ),
    OPTIONS,
  );
  bench(
    'encode',
    each((caller) =>
      encodeDecision(taking(requests[caller] as DecisionRequest, plans[caller] as Plan), keys, systemClock.now()),
    ),
    OPTIONS,
  );
  bench(
    'decision, remembered',
    together((caller) =>
      policy.decide(
        PKG,
        (requests[caller] as DecisionRequest).input,
        outcomes[caller] as Outcome,
        plans[caller] as Plan,
      ),
    ),
    OPTIONS,
  );
  bench(
    'headers',
    each((caller) => rateLimitHeaders(answerOf(caller))),
    OPTIONS,
  );
  bench(
    'take, Redis',
    take(() => redis),
    OPTIONS,
  );
  bench(
    'take, embedded',
    take(() => embedded),
    OPTIONS,
  );
});
