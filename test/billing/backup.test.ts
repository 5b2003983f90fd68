import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import postgres, { type Sql } from 'postgres';
import type { RedisClientType } from 'redis';
import { describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { OwnPostgres } from '../faults/driver/own-postgres.ts';
import { connectTo, counterDrifts, expectBilledOnce, STREAM, takes } from '../faults/rig.ts';
import { bringPgDump, bringRedis } from '../helpers/bring.ts';
import { Child } from '../helpers/child.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { fullLength } from '../helpers/full-length.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar, startWorker } from '../helpers/services.ts';
import { get, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { loadScript } from '../setup/scripts.ts';
import { usageEvent } from './events.ts';

const ADMIN = { Authorization: 'Bearer admin' };
/** A request that draws on windows, whose chain of events `reconcile` can follow. */
const CALL = { user_id: 'user-1', model: 'anthropic/claude-haiku-4-5', input_tokens: 20, max_tokens: 30 };

/** The commands of docs/backup.md, as they are printed there. */
async function documented() {
  const text = await readFile(join(packageRoot, 'docs/backup.md'), 'utf8');
  const block = (heading: string) =>
    new RegExp(`## ${heading}\n[^]*?\n\`\`\`sh\n([^]*?)\n\`\`\``).exec(text)?.[1] ?? '';
  const lines = (heading: string) => block(heading).split('\n');
  const isPostgres = (line: string) => line.startsWith('pg_');
  return {
    backUpRedis: lines('Back up')
      .filter((line) => !isPostgres(line))
      .join('\n'),
    backUpPostgres: lines('Back up').filter(isPostgres).join('\n'),
    restore: block('Restore'),
  };
}

/** Real servers with the real tools that their back-ups are made with. */
class World {
  readonly redis: RedisServer;
  readonly #environment: Record<string, string>;
  readonly #shell: Record<string, string>;
  readonly #server: Sql;
  readonly sql: Sql;

  private constructor(
    redis: RedisServer,
    sqls: { server: Sql; sql: Sql },
    environment: Record<string, string>,
    shell: Record<string, string>,
  ) {
    this.redis = redis;
    this.#server = sqls.server;
    this.sql = sqls.sql;
    this.#environment = environment;
    this.#shell = shell;
  }

  static async start(): Promise<World> {
    const [native, redisProgram] = await Promise.all([bringPgDump(), bringRedis()]);
    const [redis, { url: serverUrl }, backup] = await Promise.all([
      startRedis(),
      OwnPostgres.start(native),
      tempDir('backup'),
    ]);
    const { redisTool } = await loadScript('bring-redis.mjs');
    const tools = [join(native, 'bin'), dirname(redisTool(redisProgram, 'redis-cli'))];
    const url = new URL(serverUrl);
    url.pathname = '/rating';
    const shell = {
      BACKUP: backup,
      DATABASE_URL: url.href,
      PATH: [...tools, process.env.PATH].join(delimiter),
      REDIS_DIR: redis.dir,
      REDIS_URL: redis.url,
    };
    const environment = {
      ADMIN_TOKEN: 'admin',
      BILLING_PORT: String(await freePort()),
      CONFIG_DIR: await configWithBudgets(),
      CYCLE_GRACE_S: '0',
      DATABASE_URL: url.href,
      REDIS_URL: redis.url,
      STORE_TIMEOUT_MS: '5000',
    };
    const open = (to: string) => postgres(to, { max: 2, onnotice: () => {} });
    const sqls = { server: open(serverUrl), sql: open(url.href) };
    atTestEnd(() => Promise.all([sqls.server.end({ timeout: 1 }), sqls.sql.end({ timeout: 1 })]));
    await sqls.server`create database rating`;
    return new World(redis, sqls, environment, shell);
  }

  sidecar(): Promise<Service> {
    return startSidecar(this.#environment);
  }

  worker(): Promise<Service> {
    return startWorker(this.#environment);
  }

  async shell(commands: string): Promise<void> {
    const child = new Child('bash', { args: ['-euo', 'pipefail', '-c', commands], cwd: packageRoot, env: this.#shell });
    const { code } = await child.exited;
    expect(code, child.output.join('\n')).toBe(0);
  }

  /** Everything at once, without time to say good-bye; then both servers' data. */
  async destroy(...services: Service[]): Promise<void> {
    await Promise.all([...services.map(({ process }) => process.kill('SIGKILL')), this.redis.kill()]);
    await rm(join(this.redis.dir, 'appendonlydir'), { recursive: true });
    await this.#server`drop database rating with (force)`;
    await this.#server`create database rating`;
  }
}

async function configWithBudgets(): Promise<string> {
  const folder = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), folder, { recursive: true });
  const file = join(folder, 'budgets.yaml');
  await writeFile(file, (await readFile(file, 'utf8')).replace('enabled: false', 'enabled: true'));
  return folder;
}

/** What every counter of the store says. */
async function counters(client: RedisClientType): Promise<Record<string, unknown>> {
  const keys = (await client.keys('ocr:{p0}:c:*')).sort();
  return Object.fromEntries(await Promise.all(keys.map(async (key) => [key, { ...(await client.hGetAll(key)) }])));
}

const drained = (client: RedisClientType) =>
  eventually(async () => expect(await client.xLen(STREAM)).toBe(0), { timeoutMs: 30_000 });

/** Usage of last month, carried by the worker, and the invoice that is made of it. */
async function billedLastMonth(client: RedisClientType, worker: Service): Promise<string> {
  const now = new Date();
  const at = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1, 15);
  const event = usageEvent({ decided_at: at, at });
  await client.xAdd(STREAM, '*', { e: JSON.stringify(event) });
  await drained(client);
  const { body } = await get(`${worker.url}/v1/cycles?tenant_id=acme`, ADMIN);
  const closed = await post(`${worker.url}/v1/cycles/${body.data[0].id}/close`, {}, ADMIN);
  expect(closed.status).toBe(200);
  return event.decision_id;
}

const invoices = async (sql: Sql, worker: Service): Promise<string[]> => {
  const rows = await sql`select id from invoices order by number`;
  const read = async (id: string) => (await fetch(`${worker.url}/v1/invoices/${id}`, { headers: ADMIN })).text();
  return Promise.all(rows.map(({ id }) => read(id)));
};

describe.runIf(fullLength)('both servers are lost, and restored from their back-ups', { timeout: 300_000 }, () => {
  test('Redis’ being the older, as documented: each event is billed once, and what can be spent twice is named', async () => {
    const [{ backUpPostgres, backUpRedis, restore }, world] = await Promise.all([documented(), World.start()]);
    const client = await connectTo(world.redis);
    const [worker, sidecar] = [await world.worker(), await world.sidecar()];
    const billed = [await billedLastMonth(client, worker), ...(await takes(sidecar.url, 'billed', 10, CALL))];
    await drained(client);
    const printed = await invoices(world.sql, worker);
    await worker.process.stop();
    // In the stream alone when Redis is copied, in the ledger when that is.
    const waiting = await takes(sidecar.url, 'waiting', 6, CALL);
    const counted = await counters(client);
    await world.shell(backUpRedis);
    const next = await world.worker();
    const between = await takes(sidecar.url, 'between', 5, CALL);
    await drained(client);
    await world.shell(backUpPostgres);
    await takes(sidecar.url, 'after', 3, CALL);
    await drained(client);

    await world.destroy(sidecar, next);
    await world.shell(restore);
    await world.redis.restart();
    const restored = await connectTo(world.redis);
    expect(await counters(restored)).toEqual(counted);
    expect(await restored.xLen(STREAM)).toBe(waiting.length);
    const [again, other] = [await world.worker(), await world.sidecar()];
    await expectBilledOnce({ client: restored, sql: world.sql }, [...billed, ...waiting, ...between]);
    expect(await invoices(world.sql, again)).toEqual(printed);
    expect(printed).toHaveLength(1);

    const late = await takes(other.url, 'late', 2, CALL);
    await expectBilledOnce({ client: restored, sql: world.sql }, [...billed, ...waiting, ...between, ...late]);
    await expectNamed(world.sql);
  });

  test('PostgreSQL’s being the older: what is in neither is counted, not billed, and named', async () => {
    const [{ backUpPostgres, backUpRedis, restore }, world] = await Promise.all([documented(), World.start()]);
    const client = await connectTo(world.redis);
    const [worker, sidecar] = [await world.worker(), await world.sidecar()];
    const billed = [await billedLastMonth(client, worker), ...(await takes(sidecar.url, 'billed', 10, CALL))];
    await drained(client);
    const printed = await invoices(world.sql, worker);
    await world.shell(backUpPostgres);
    await takes(sidecar.url, 'between', 5, CALL);
    await drained(client);
    const counted = await counters(client);
    await world.shell(backUpRedis);

    await world.destroy(sidecar, worker);
    await world.shell(restore);
    await world.redis.restart();
    const restored = await connectTo(world.redis);
    expect(await counters(restored)).toEqual(counted);
    const [again, other] = [await world.worker(), await world.sidecar()];
    await expectBilledOnce({ client: restored, sql: world.sql }, billed);
    expect(await invoices(world.sql, again)).toEqual(printed);
    // It shows at the next use of each window.
    expect(await counterDrifts(world.sql)).toEqual([]);
    const late = await takes(other.url, 'late', 2, CALL);
    await expectBilledOnce({ client: restored, sql: world.sql }, [...billed, ...late]);
    await expectNamed(world.sql);
  });
});

/** `reconcile` has a gap in the chain of the user's windows, of the day and of the month. */
async function expectNamed(sql: Sql): Promise<void> {
  const windows = (await counterDrifts(sql)).filter(({ kind }) => kind === 'window');
  expect(windows.map(({ limit }) => limit).sort()).toEqual([
    expect.stringMatching(/user-1.*day/),
    expect.stringMatching(/user-1.*month/),
  ]);
}
