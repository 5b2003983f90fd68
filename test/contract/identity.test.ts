import { cp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { Issuer, signingKey } from '../helpers/issuer.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { get, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis();
}, BRING_TIMEOUT_MS);

const USERS = `
user_identification: { method: api_key }
users:
  - { id: user_alice, api_key: ak_alice_1, tenant: acme, team: data, role: developer }
  - { id: user_bob,   api_key: ak_bob_…, channels: ["slack:U123"] }
`;

const PATH = '/v1/data/openclaw/rate_limit/allow';

interface Identified extends Service {
  configDir: string;
}

async function start(files: Record<string, string>, env: Record<string, string> = {}): Promise<Identified> {
  const configDir = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), configDir, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(configDir, name), text);
  const service = await startSidecar({
    CONFIG_DIR: configDir,
    DATA_DIR: await tempDir('data'),
    REDIS_URL: redis.url,
    OPA_TOKEN: 'service-token',
    ...env,
  });
  return { ...service, configDir };
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const key = (value: string) => ({ 'X-API-Key': value });

const ask = ({ url }: Service, input: object, headers: Record<string, string>) =>
  post(`${url}${PATH}`, { input }, headers);

const auth = (more: string) => `authentication: { enabled: true, method: api_key, ${more} }`;

describe('who is calling', () => {
  let sidecar: Identified;

  beforeAll(async () => {
    sidecar = await start({ 'auth.yaml': auth('require_auth: true'), 'users.yaml': USERS });
  });

  test('the service, by its token, speaks for any tenant and user', async () => {
    const { body } = await ask(sidecar, { tenant_id: 'globex', user_id: 'user_alice' }, bearer('service-token'));
    expect(body.result).toBe(true);
  });

  test('a user, by a key in either header, and need not say so', async () => {
    for (const headers of [key('ak_alice_1'), bearer('ak_alice_1')]) {
      const { body } = await ask(sidecar, {}, headers);
      expect(body.result).toBe(true);
    }
  });

  test('a user is bound to itself, on every route', async () => {
    const claims = [{ tenant_id: 'globex' }, { user_id: 'user_bob' }, { team_id: 'ops' }, { role: 'admin' }];
    for (const input of claims) {
      const [field] = Object.keys(input);
      const refused = await ask(sidecar, input, key('ak_alice_1'));
      expect(refused.status).toBe(403);
      expect(refused.body).toMatchObject({ code: 'unauthorized', errors: [{ code: 'forbidden' }] });
      expect(refused.body.message).toContain(`input.${field}`);
      const v0 = await post(`${sidecar.url}/v0/data/openclaw/rate_limit/allow`, input, key('ak_alice_1'));
      expect(v0.status).toBe(403);
      const preview = await get(
        `${sidecar.url}${PATH}?input=${encodeURIComponent(JSON.stringify(input))}`,
        key('ak_alice_1'),
      );
      expect(preview.status).toBe(403);
      const above = await post(`${sidecar.url}/v1/data/openclaw`, { input }, key('ak_alice_1'));
      expect(above.status).toBe(403);
    }
    const batch = await post(
      `${sidecar.url}/v1/batch/data/openclaw/rate_limit/allow`,
      { inputs: { own: {}, other: { tenant_id: 'globex' } } },
      key('ak_alice_1'),
    );
    expect(batch.body.responses).toMatchObject({ own: { result: true }, other: { code: 'unauthorized' } });
    const usage = { decision_id: 'd', tenant_id: 'globex', outcome: 'succeeded' };
    expect((await post(`${sidecar.url}/v1/usage`, usage, key('ak_alice_1'))).status).toBe(403);
    for (const path of ['/v1/status', '/v1/config']) {
      expect((await get(`${sidecar.url}${path}`, key('ak_alice_1'))).status).toBe(403);
      expect((await get(`${sidecar.url}${path}`, bearer('service-token'))).status).toBe(200);
    }
  });

  test('everybody else gets the same 401, whatever was wrong', async () => {
    const wrong: Record<string, string>[] = [
      {},
      key('ak_alice_2'),
      key(''),
      bearer('ak_alice_2'),
      bearer('service-token2'),
      { Authorization: 'Basic c2VydmljZS10b2tlbg==' },
      { Authorization: 'Bearer' },
      { Authorization: 'service-token' },
      // A key that is wrong is not made right by a token that is.
      { ...key('nobody'), ...bearer('service-token') },
    ];
    const bodies = new Set<string>();
    for (const headers of wrong) {
      const { body, status } = await ask(sidecar, { tenant_id: 'acme' }, headers);
      expect({ headers, status }).toEqual({ headers, status: 401 });
      bodies.add(JSON.stringify(body));
    }
    expect([...bodies].map((body) => JSON.parse(body))).toEqual([
      {
        code: 'unauthorized',
        message: 'request rejected by administrative policy',
        errors: [{ code: 'unidentified', message: expect.any(String) }],
      },
    ]);
  });

  test('a key is no text of ASCII only, as it is sent in UTF-8', async () => {
    const sent = Buffer.from('ak_bob_…').toString('latin1');
    expect((await ask(sidecar, { tenant_id: 'acme' }, key(sent))).body.result).toBe(true);
    // Of a user without a tenant the request must say it.
    expect((await ask(sidecar, {}, key(sent))).status).toBe(400);
  });

  test('of users with a key and no tenant it warns', () => {
    expect(sidecar.process.output.join('\n')).toContain('users with a key and no tenant');
  });

  test('no key is in the log', () => {
    expect(sidecar.process.output.join('\n')).not.toMatch(/ak_alice|ak_bob|service-token/);
  });
});

describe('what need not be shown', () => {
  test('nothing, where neither a token nor authentication is set: then all is the service', async () => {
    const sidecar = await start({ 'users.yaml': USERS }, { OPA_TOKEN: '' });
    expect((await ask(sidecar, { tenant_id: 'acme', user_id: 'user_alice' }, {})).body.result).toBe(true);
    expect((await ask(sidecar, {}, key('ak_alice_1'))).body.result).toBe(true);
    expect((await ask(sidecar, { tenant_id: 'globex' }, key('ak_alice_1'))).status).toBe(403);
    expect((await ask(sidecar, { tenant_id: 'acme' }, key('nobody'))).status).toBe(401);
    expect((await ask(sidecar, { tenant_id: 'acme' }, bearer('nobody'))).status).toBe(401);
  });

  test('with require_auth: false, who shows nothing speaks for no user', async () => {
    const sidecar = await start({ 'auth.yaml': auth('require_auth: false'), 'users.yaml': USERS });
    expect((await ask(sidecar, { tenant_id: 'acme' }, {})).body.result).toBe(true);
    expect((await ask(sidecar, { tenant_id: 'acme', user_id: 'user_alice' }, {})).status).toBe(403);
    expect((await ask(sidecar, { tenant_id: 'acme' }, key('nobody'))).status).toBe(401);
    expect((await get(`${sidecar.url}/v1/status`)).status).toBe(403);
  });
});

describe('changed files', () => {
  test('hold within seconds and without a restart; wrong ones do not, and status says why', async () => {
    const sidecar = await start({ 'users.yaml': USERS, 'auth.yaml': auth('require_auth: true') });
    const put = async (name: string, text: string) => {
      await writeFile(join(sidecar.configDir, `${name}.new`), text);
      await rename(join(sidecar.configDir, `${name}.new`), join(sidecar.configDir, name));
    };
    await put('users.yaml', USERS.replace('ak_alice_1', 'ak_alice_2'));
    await eventually(async () => expect((await ask(sidecar, {}, key('ak_alice_2'))).body.result).toBe(true));
    expect((await ask(sidecar, {}, key('ak_alice_1'))).status).toBe(401);

    await put('users.yaml', USERS.replace('role: developer', 'rolle: developer'));
    await put('tenants.yaml', 'defaults: {');
    const config = async () => (await get(`${sidecar.url}/v1/status`, bearer('service-token'))).body.result.config;
    await eventually(async () => expect((await config()).problems.join('\n')).toContain('unknown key'));
    const { problems } = await config();
    expect(problems.join('\n')).toMatch(/users\.yaml:4:\d+: users\.0\.rolle: unknown key; known here: id, /);
    expect(problems.join('\n')).toContain('tenants.yaml');
    expect((await get(`${sidecar.url}/metrics`)).body).toMatch(/^openclaw_config_failing 1$/m);
    expect((await ask(sidecar, {}, key('ak_alice_2'))).body.result).toBe(true);

    await put('users.yaml', USERS);
    await cp(join(packageRoot, 'config', 'tenants.yaml'), join(sidecar.configDir, 'tenants.yaml'));
    await eventually(async () => expect((await ask(sidecar, {}, key('ak_alice_1'))).body.result).toBe(true));
    expect(await config()).toMatchObject({ problems: [] });
    expect((await get(`${sidecar.url}/metrics`)).body).toMatch(/^openclaw_config_failing 0$/m);
  });

  test('may name ten thousand users, and are taken again while decisions go on', { timeout: 120_000 }, async () => {
    const users = (prefix: string) =>
      `users:\n${Array.from({ length: 10_000 }, (_, n) => `  - { id: u${n}, api_key: ${prefix}_number_${n}, tenant: acme }`).join('\n')}\n`;
    const sidecar = await start(
      { 'users.yaml': users('one') },
      { STORE_TIMEOUT_MS: '5000', POLICY_TIMEOUT_MS: '5000' },
    );
    expect((await ask(sidecar, {}, key('one_number_9999'))).body.result).toBe(true);
    await writeFile(join(sidecar.configDir, 'users.yaml.new'), users('two'));
    await rename(join(sidecar.configDir, 'users.yaml.new'), join(sidecar.configDir, 'users.yaml'));
    const answers: unknown[] = [];
    let longest = 0;
    await eventually(
      async () => {
        const began = performance.now();
        answers.push((await ask(sidecar, { tenant_id: 'acme' }, bearer('service-token'))).body.result);
        longest = Math.max(longest, performance.now() - began);
        expect((await ask(sidecar, {}, key('two_number_9999'))).body.result).toBe(true);
      },
      { timeoutMs: 60_000 },
    );
    console.info(
      `${answers.length} decisions while 10,000 users were read, the longest took ${Math.round(longest)} ms`,
    );
    expect(new Set(answers)).toEqual(new Set([true]));
  });

  test('policies see them: a tenant gets its new capacity', async () => {
    const sidecar = await start({});
    const tenants = (capacity: number) => `
defaults: { capacity: ${capacity}, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }
`;
    const capacity = async () => {
      const { body } = await post(
        `${sidecar.url}/v1/data/openclaw/rate_limit?dry_run=true`,
        { input: { tenant_id: 'new' } },
        bearer('service-token'),
      );
      return body.result.plan.limits[0].capacity;
    };
    expect(await capacity()).toBe(10_000);
    await writeFile(join(sidecar.configDir, 'tenants.yaml'), tenants(77));
    await eventually(async () => expect(await capacity()).toBe(77));
    await rm(join(sidecar.configDir, 'tenants.yaml'));
    await eventually(async () =>
      expect((await get(`${sidecar.url}/metrics`)).body).toMatch(/^openclaw_config_failing 1$/m),
    );
    expect(await capacity()).toBe(77);
  });
});

describe('a token', () => {
  test('says who is calling, by keys that its server has, also after they were exchanged', async () => {
    const [first, second] = [await signingKey('k1'), await signingKey('k2')];
    const issuer = await Issuer.start(first);
    const sidecar = await start({
      'users.yaml': USERS,
      'auth.yaml': `authentication: { method: jwt, jwks_url: "${issuer.jwksUrl}", issuer: "${issuer.url}", audience: sidecar }`,
    });
    const claims = { sub: 'user_alice', iss: issuer.url, aud: 'sidecar', exp: Math.floor(Date.now() / 1000) + 600 };
    const token = await first.sign(claims);
    expect((await ask(sidecar, {}, bearer(token))).body.result).toBe(true);
    expect((await ask(sidecar, { tenant_id: 'globex' }, bearer(token))).status).toBe(403);
    expect((await ask(sidecar, { user_id: 'user_bob' }, bearer(token))).status).toBe(403);
    issuer.publish(first, second);
    expect((await ask(sidecar, {}, bearer(await second.sign(claims)))).body.result).toBe(true);

    const refused = [
      await first.sign({ ...claims, aud: 'another' }),
      await first.sign({ ...claims, exp: 1 }),
      await (await signingKey('k1')).sign(claims),
      `${token.slice(0, -4)}AAAA`,
      token.replace(/^[^.]+/, Buffer.from('{"alg":"none"}').toString('base64url')),
    ];
    const nobody = await ask(sidecar, {}, {});
    expect(nobody.status).toBe(401);
    for (const each of refused) {
      const { body, status } = await ask(sidecar, {}, bearer(each));
      expect({ status, body }).toEqual({ status: 401, body: nobody.body });
    }
    expect(sidecar.process.output.join('\n')).not.toContain(token.slice(0, 40));
  });

  test('need not be there where a trusted proxy says in its header who is calling', async () => {
    const users = USERS.replace('user_alice,', 'user_alice, email: alice@example.com,');
    const proxy = (address: string) =>
      start({
        'users.yaml': users,
        'auth.yaml': `authentication: { method: api_key, trusted_proxy: { addresses: [${address}] } }`,
      });
    const mail = (value: string) => ({ 'X-Forwarded-Email': value });
    const trusting = await proxy('127.0.0.1');
    expect((await ask(trusting, {}, mail('Alice@example.com'))).body.result).toBe(true);
    expect((await ask(trusting, { tenant_id: 'globex' }, mail('alice@example.com'))).status).toBe(403);
    expect((await ask(trusting, {}, mail('mallory@example.com'))).status).toBe(401);
    expect((await ask(trusting, {}, mail('alice@example.com, mallory@example.com'))).status).toBe(401);
    const other = await proxy('10.0.0.0/8');
    expect((await ask(other, {}, mail('alice@example.com'))).status).toBe(401);
  });
});
