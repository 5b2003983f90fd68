import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { ask, get, post } from '../helpers/sidecar-client.ts';
import { shippedFolder, sidecarsOn } from './sidecars.ts';

const KEY = 'ak_zoe_0123456789';

/** A real sidecar on files that are changed under it. */
describe('the files of a running sidecar', () => {
  let folder: string;
  let sidecar: string;

  const edit = async (name: string, change: (text: string) => string) => {
    const file = join(folder, name);
    await writeFile(file, change(await readFile(file, 'utf8')));
  };

  const budgets = (input: object, headers: Record<string, string> = {}) =>
    post(`${sidecar}/v1/data/openclaw/rate_limit/decision?dry_run=true`, { input }, headers).then(
      ({ body, headers }) => ({
        decision: body.result,
        policy: headers.get('RateLimit-Policy') ?? '',
      }),
    );

  beforeAll(async () => {
    folder = await shippedFolder();
    await edit('users.yaml', (text) =>
      text.replace(
        'users: []',
        `users:\n  - { id: zoe, api_key: ${KEY}, tenant: acme, role: viewer, department: rnd, projects: [apollo] }`,
      ),
    );
    await edit('budgets.yaml', (text) =>
      text
        .replace('department_budgets: {}', 'department_budgets: { rnd: { daily_tokens: 700 } }')
        .replace('project_budgets: {}', 'project_budgets: { apollo: { monthly_tokens: 900 } }'),
    );
    [sidecar] = (await sidecarsOn(1, { CONFIG_DIR: folder })) as [string];
  }, 120_000);

  test('a service that names a user draws on what users.yaml says of it', async () => {
    const { policy } = await budgets({ tenant_id: 'acme', user_id: 'zoe', estimated_tokens: 1 });
    expect(policy).toContain('"user:zoe:tokens:day";q=10000;');
    expect(policy).toContain('"department:rnd:tokens:day";q=700;');
    expect(policy).not.toContain('project:');
  });

  test('so does the user, by key, and can leave out none of it', async () => {
    const asked = { project_id: 'apollo', estimated_tokens: 701 };
    const { decision, policy } = await budgets(asked, { 'X-API-Key': KEY });
    expect(policy).toContain('"user:zoe:tokens:day";q=10000;');
    expect(policy).toContain('"project:apollo:tokens:month";q=900;');
    expect(decision).toMatchObject({ allow: false, reason: 'budget_exceeded' });
  });

  test('a changed limit holds without a restart, and what was used stays used', async () => {
    const dave = { tenant_id: 'acme', user_id: 'dave', estimated_tokens: 30_000 };
    expect((await ask(sidecar, dave, 'decision')).body.result).toMatchObject({ allow: true });
    await edit('budgets.yaml', (text) => text.replace('daily_tokens: 50000', 'daily_tokens: 40000'));
    await eventually(
      async () => {
        const { decision } = await budgets({ ...dave, estimated_tokens: 10_001 });
        expect(decision).toMatchObject({ allow: false, reason: 'budget_exceeded' });
      },
      { timeoutMs: 30_000 },
    );
    expect((await ask(sidecar, { ...dave, estimated_tokens: 10_000 }, 'decision')).body.result).toMatchObject({
      allow: true,
      obligations: { footer: expect.stringContaining('40000/40000 tokens (100%)') },
    });
  });

  test('a file that is wrong changes nothing', async () => {
    await edit('budgets.yaml', (text) => text.replace('daily_tokens: 40000', 'daily_tokens: lots'));
    await eventually(
      async () => {
        const { body } = await get(`${sidecar}/v1/status`);
        expect(JSON.stringify(body)).toMatch(/budgets\.yaml:\d+:\d+: /);
      },
      { timeoutMs: 30_000 },
    );
    const { policy } = await budgets({ tenant_id: 'acme', user_id: 'dave', estimated_tokens: 1 });
    expect(policy).toContain('"user:dave:tokens:day";q=40000;');
  });
});
