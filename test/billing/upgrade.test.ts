import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres, { type Sql } from 'postgres';
import { describe, expect, test } from 'vitest';
import { copyProgram } from '../faults/driver/program-copy.ts';
import { counterDrifts, expectBilledOnce, type Rig, STREAM, startRig, takes, used } from '../faults/rig.ts';
import type { Child } from '../helpers/child.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startProcess } from '../helpers/process.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { post } from '../helpers/sidecar-client.ts';
import { atTestEnd } from '../helpers/test-end.ts';

/** Real workers of two programs on one database: of the release before, which knows all migrations but the newest, and of this one. */
const JOURNAL = 'schemas/migrations/meta/_journal.json';

interface Journal {
  entries: { idx: number; when: number; tag: string }[];
}

async function changeJournal(root: string, change: (journal: Journal) => void): Promise<Journal> {
  const journal: Journal = JSON.parse(await readFile(join(root, JOURNAL), 'utf8'));
  change(journal);
  await writeFile(join(root, JOURNAL), JSON.stringify(journal));
  return journal;
}

const olderProgram = async (): Promise<string> => {
  const root = await copyProgram();
  await changeJournal(root, ({ entries }) => entries.pop());
  return root;
};

/** With a last migration whose second statement fails. */
async function brokenProgram(): Promise<string> {
  const root = await copyProgram();
  await changeJournal(root, ({ entries }) => {
    const last = entries.at(-1) ?? expect.fail();
    entries.push({ ...last, idx: last.idx + 1, when: last.when + 1, tag: '9999_broken' });
  });
  const half = 'create table half_way (id int);\n--> statement-breakpoint\nselect 1 / 0;';
  await writeFile(join(root, 'schemas/migrations/9999_broken.sql'), half);
  return root;
}

async function launch(root: string, rig: Rig): Promise<Child> {
  const env = { ...rig.environment, BILLING_PORT: String(await freePort()) };
  return startProcess({ script: join(root, 'dist/billing-worker/main.js'), cwd: root, env });
}

const ALLOW = '/v1/data/openclaw/rate_limit/allow';
const OPA = { Authorization: 'Bearer opa' };
const LISTENING = /"url":"(http:[^"]+)"/;

async function ready(process: Child): Promise<Service> {
  return { process, url: LISTENING.exec(await process.waitForLine(LISTENING, 60_000))?.[1] ?? '' };
}

const startFrom = async (root: string, rig: Rig): Promise<Service> => ready(await launch(root, rig));

const applied = async (sql: Sql): Promise<number> =>
  (await sql`select count(*)::int as n from drizzle.__drizzle_migrations`)[0]?.n;

/** Decisions all the time, from now until it is ended, which gives the ids of what was granted. */
function load(sidecar: Service): () => Promise<string[]> {
  let goesOn = true;
  const granted = (async () => {
    const ids: string[] = [];
    for (let round = 0; goesOn; round++) {
      ids.push(...(await takes(sidecar.url, `load-${round}`, 4)));
      await sleep(50);
    }
    return ids;
  })();
  return () => {
    goesOn = false;
    return granted;
  };
}

/** Events that this worker has made rows of. */
async function written({ url }: Service): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const values = [...text.matchAll(/^openclaw_ledger_events_total\{.*\} (\d+)/gm)].map(([, value]) => Number(value));
  return values.reduce((sum, value) => sum + value, 0);
}

const goesOn = async (worker: Service): Promise<void> => {
  const before = await written(worker);
  await eventually(async () => expect(await written(worker)).toBeGreaterThan(before), { timeoutMs: 20_000 });
};

/** Keeps others from migrating until it is ended. */
async function holdMigrations(rig: Rig): Promise<() => Promise<void>> {
  const holder = postgres(rig.environment.DATABASE_URL ?? '', { max: 1, onnotice: () => {} });
  atTestEnd(() => holder.end({ timeout: 1 }));
  await holder`select pg_advisory_lock(8182, 1)`;
  return () => holder.end({ timeout: 1 });
}

const waitsToMigrate = (sql: Sql) =>
  eventually(
    async () => {
      const [waiting] = await sql`select count(*)::int as n from pg_locks where locktype = 'advisory' and not granted
      and database = (select oid from pg_database where datname = current_database())`;
      expect(waiting?.n).toBe(1);
    },
    { timeoutMs: 30_000 },
  );

describe.runIf(fullLength)('an upgrade with everything running', { timeout: 300_000 }, () => {
  test('an older worker writes before, during and after the migration, the newer beside it; and the way back is open', async () => {
    const [rig, older, newer] = await Promise.all([startRig(), olderProgram(), copyProgram()]);
    const before = await startFrom(older, rig);
    const known = await applied(rig.sql);
    const sidecar = await startSidecar(rig.environment);
    const end = load(sidecar);
    await goesOn(before);

    const letGo = await holdMigrations(rig);
    const migrating = await launch(newer, rig);
    await waitsToMigrate(rig.sql);
    await goesOn(before);
    expect(await applied(rig.sql)).toBe(known);
    await letGo();
    const after = await ready(migrating);
    expect(await applied(rig.sql)).toBe(known + 1);
    await Promise.all([goesOn(before), goesOn(after)]);

    await before.process.stop();
    await goesOn(after);
    await after.process.stop();
    const back = await startFrom(older, rig);
    await goesOn(back);
    expect(await applied(rig.sql)).toBe(known + 1);
    await expectBilledOnce(rig, await end());
    expect(await counterDrifts(rig.sql)).toEqual([]);
  });

  test('a migration that fails leaves nothing behind: the newer worker ends and says why, the older goes on', async () => {
    const [rig, older, broken] = await Promise.all([startRig(), copyProgram(), brokenProgram()]);
    const before = await startFrom(older, rig);
    const known = await applied(rig.sql);
    const sidecar = await startSidecar(rig.environment);
    const end = load(sidecar);
    const failing = await launch(broken, rig);
    expect((await failing.exited).code).toBe(1);
    expect(failing.output.join('\n')).toMatch(/division by zero|select 1 \/ 0/);
    expect(await applied(rig.sql)).toBe(known);
    expect([...(await rig.sql`select to_regclass('half_way') as found`)]).toEqual([{ found: null }]);
    await goesOn(before);
    await expectBilledOnce(rig, await end());
  });

  test('a record of a newer release is left as it is: a report of it is to be repeated, a retry denied, and nothing moves', async () => {
    const rig = await startRig();
    const sidecar = await startSidecar({ ...rig.environment, OPA_TOKEN: 'opa' });
    const input = { tenant_id: 'acme', request_id: 'one' };
    const { body } = await post(`${sidecar.url}${ALLOW}`, { input }, OPA);
    const [key = ''] = await rig.client.keys(`*${body.decision_id.split('.')[0]}*`);
    const newer = (await rig.client.get(key))?.replace('{"v":1,', '{"v":2,') ?? '';
    expect(newer).toMatch(/^\{"v":2,/);
    await rig.client.set(key, newer, { KEEPTTL: true });
    const taken = await used(rig.client);

    const report = await post(`${sidecar.url}/v1/usage`, { decision_id: body.decision_id, outcome: 'failed' }, OPA);
    const retry = await post(`${sidecar.url}${ALLOW}`, { input }, OPA);
    expect([report.status, retry.body.result]).toEqual([503, false]);
    expect([await rig.client.get(key), await used(rig.client), await rig.client.xLen(STREAM)]).toEqual([
      newer,
      taken,
      1,
    ]);
  });
});
