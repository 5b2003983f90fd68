import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startAllInOne } from '../helpers/all-in-one.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { tempDir } from '../helpers/temp-dir.ts';

type Answer = { status: number; body: Record<string, unknown> };

test.runIf(fullLength)(
  'without any server: a key that is lost with the counters comes back from the ledger, and the audit has it',
  {
    timeout: 120_000,
  },
  async () => {
    const DATA_DIR = await tempDir('data');
    const start = async () => {
      const services = await startAllInOne({ DATA_DIR, ADMIN_TOKEN: 'admin' });
      const ask = async (url: string, init: RequestInit = {}): Promise<Answer> => {
        const answer = await fetch(url, { ...init, headers: { Authorization: 'Bearer admin' } });
        return { status: answer.status, body: (await answer.json()) as Answer['body'] };
      };
      return { ...services, ask };
    };
    const first = await start();
    const body = JSON.stringify({ tenant_id: 'acme', user_id: 'alice', reason: 'for CI' });
    const issued = await first.ask(`${first.sidecar}/api/admin/keys`, { method: 'POST', body });
    const { id, key } = issued.body as { id: string; key: string };
    expect(issued.status).toBe(201);
    const audit = await eventually(async () => {
      const { body } = await first.ask(`${first.billing}/v1/audit?action=key.issued&target=${id}`);
      expect(body.data).toHaveLength(1);
      return body;
    });
    expect(audit).toMatchObject({
      data: [{ actor: 'admin', tenant_id: 'acme', reason: 'for CI', api_keys: [{ id }] }],
    });
    expect(JSON.stringify(audit)).not.toContain(key);
    await first.process.stop();
    await rm(join(DATA_DIR, 'counters'), { recursive: true });

    const second = await start();
    const { body: back } = await eventually(async () => {
      const answer = await second.ask(`${second.sidecar}/api/admin/keys/${id}`);
      expect(answer.status).toBe(200);
      return answer;
    });
    expect(back).toMatchObject({ id, tenant_id: 'acme', user_id: 'alice' });
  },
);
