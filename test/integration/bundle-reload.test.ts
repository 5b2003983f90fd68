import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringOpa } from '../helpers/bring.ts';
import { buildBundle, changed } from '../helpers/bundles.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startNginx } from '../helpers/nginx.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { get, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/**
 * Another bundle every 50 ms while decisions are asked for. Its plan, its decision and its data each name the revision,
 * so an answer that is of two would show it. 30 seconds at full length.
 */
const SECONDS = fullLength ? 30 : 5;
const RELOAD_EVERY_MS = 50;
const CALLERS = 8;

const REGO = `package test.revision

# METADATA
# scope: document
# entrypoint: true
plan := {"limits": [{
	"id": data.revision,
	"subject": {"type": "tenant", "id": input.tenant_id},
	"unit": "requests",
	"kind": "token_bucket",
	"capacity": 1000000,
	"cost": 1,
	"settles": false,
	"refill": {"amount": 1000000, "per_seconds": 1, "mode": "continuous"},
	"on_exceed": "deny",
}]}

# METADATA
# scope: document
# entrypoint: true
decision := {
	"allow": input.outcome.granted,
	"reason": "ok",
	"status": 200,
	"message": data.revision,
	"warnings": [limit.id | some limit in input.outcome.limits],
}

# METADATA
# scope: document
# entrypoint: true
allow := decision.allow
`;

let redis: RedisServer;
let bundle: Buffer;

beforeAll(async () => {
  await bringOpa();
  redis = await startRedis();
  bundle = await buildBundle({ 'revision.rego': REGO, 'data.json': '{"revision": "r0"}' }, ['--revision', 'r0']);
}, BRING_TIMEOUT_MS);

const revised = (revision: string) =>
  changed(bundle, { 'data.json': JSON.stringify({ revision }), '.manifest': JSON.stringify({ revision }) });

interface Seen {
  answers: number;
  revisions: Set<string>;
  mixed: unknown[];
  failed: unknown[];
}

/** Asks until told to stop. Of each tenant one decision is remembered, of another none. */
async function load(sidecar: Service, going: () => boolean): Promise<Seen> {
  const seen: Seen = { answers: 0, revisions: new Set(), mixed: [], failed: [] };
  const caller = async (number: number) => {
    while (going()) {
      const input = { tenant_id: `t${number}`, ...(seen.answers % 2 ? { nonce: seen.answers } : {}) };
      const { body, status } = await post(`${sidecar.url}/v1/data/test/revision?provenance=true`, { input });
      seen.answers++;
      if (status !== 200 || body.result?.allow !== true) {
        seen.failed.push({ status, body });
        continue;
      }
      const { decision, plan } = body.result;
      const named = [plan.limits[0].id, decision.message, decision.warnings[0], revisionOf(body.provenance)];
      if (new Set(named).size !== 1) seen.mixed.push(named);
      seen.revisions.add(named[0]);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, number) => caller(number)));
  return seen;
}

const revisionOf = ({ bundles, revision }: { revision?: string; bundles?: Record<string, { revision: string }> }) =>
  revision ?? Object.values(bundles ?? {})[0]?.revision;

async function reloading(sidecar: Service, put: (bytes: Buffer) => Promise<void>): Promise<Seen> {
  const end = performance.now() + SECONDS * 1_000;
  const asking = load(sidecar, () => performance.now() < end);
  let count = 0;
  for (let next = performance.now(); next < end; next += RELOAD_EVERY_MS) {
    await put(await revised(`r${++count}`));
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, next + RELOAD_EVERY_MS - performance.now())));
  }
  const seen = await asking;
  console.info(
    `${seen.answers} answers of ${seen.revisions.size} revisions, of ${count} that were put in ${SECONDS} s`,
  );
  return seen;
}

/** Waits of a busy machine are not what is looked at: with 250 ms for the store, three busy loops beside it were enough. */
const settings = async () => ({
  REDIS_URL: redis.url,
  DATA_DIR: await tempDir('data'),
  STORE_TIMEOUT_MS: '5000',
  POLICY_TIMEOUT_MS: '5000',
});

describe('every answer is whole and of exactly one revision', () => {
  test('from a file', { timeout: SECONDS * 1_000 + 60_000 }, async () => {
    const file = join(await tempDir('policies'), 'bundle.tar.gz');
    await writeFile(file, bundle);
    const sidecar = await startSidecar({ ...(await settings()), POLICY_BUNDLE: file });
    const seen = await reloading(sidecar, async (bytes) => {
      await writeFile(`${file}.new`, bytes);
      await rename(`${file}.new`, file);
    });
    await expectWhole(sidecar, seen);
  });

  test('from a bundle server', { timeout: SECONDS * 1_000 + 60_000 }, async () => {
    const nginx = await startNginx();
    await nginx.put('bundle.tar.gz', bundle);
    const url = `${nginx.url}/bundle.tar.gz`;
    const sidecar = await startSidecar({ ...(await settings()), POLICY_BUNDLE: url, POLICY_POLL_MS: '50' });
    await expectWhole(sidecar, await reloading(sidecar, (bytes) => nginx.put('bundle.tar.gz', bytes)));
  });
});

async function expectWhole(sidecar: Service, seen: Seen): Promise<void> {
  expect(seen.failed).toEqual([]);
  expect(seen.mixed).toEqual([]);
  expect(seen.answers).toBeGreaterThan(20);
  // A bundle that is replaced before it could be activated is passed over, and a busy machine passes over most.
  expect(seen.revisions.size).toBeGreaterThan(2);
  const { body } = await get(`${sidecar.url}/metrics`);
  expect(body).toMatch(/^openclaw_policy_memo_total\{result="hit"\} [1-9]/m);
  expect(body).toMatch(/^openclaw_policy_memo_total\{result="miss"\} [1-9]/m);
  expect(body).toMatch(/^openclaw_bundle_failing 0$/m);
  expect(sidecar.process.output.filter((line) => line.includes('"level":50'))).toEqual([]);
}
