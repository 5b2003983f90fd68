import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { CLUSTER_PARTITIONS, usageStreamKey } from '../../schemas/usage-stream.ts';
import { partitionOf } from '../../sidecar/counters/keys.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { type RedisCluster, startRedisCluster } from '../helpers/redis-cluster.ts';
import type { RedisServer } from '../helpers/redis-server.ts';
import { type Service, startSidecar, startWorker } from '../helpers/services.ts';
import { ask, inParallel } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const CAPACITY = fullLength ? 40 : 9;
const TENANTS = 40;
const CALLERS = 32;
/** Three times what there is, so that whatever fails on the way, every tenant uses up all it has. */
const REQUESTS = 3 * CAPACITY * TENANTS;
const MOVED = fullLength ? 12 : 5;

const tenants = Array.from({ length: TENANTS }, (_, index) => `tenant-${index}`);
const partition = (tenant: string) => partitionOf(tenant, CLUSTER_PARTITIONS);

/** Partitions with tenants in them, so that the slots that move hold counters and a stream that is in use. */
const onTheMove = [...new Set(tenants.map(partition))].slice(0, MOVED);

/** Moves each slot to the next node, slowly enough to be met on the way, again and again until it is told to stop. */
async function keepMoving(cluster: RedisCluster, stopped: AbortSignal): Promise<number> {
  let moves = 0;
  for (let round = 0; !stopped.aborted || round === 0; round++) {
    for (const each of onTheMove) {
      const slot = cluster.slotOf(usageStreamKey(each));
      const owner = await cluster.ownerOf(usageStreamKey(each));
      const to = cluster.nodes[(cluster.nodes.indexOf(owner) + 1) % cluster.nodes.length] as RedisServer;
      await cluster.beginMove(slot, to);
      while (await cluster.moveKeys(slot, to, 2)) await sleep(5);
      await cluster.finishMove(slot, to);
      moves += 1;
    }
  }
  return moves;
}

async function configured(): Promise<string> {
  const config = await tempDir();
  await writeFile(
    join(config, 'tenants.yaml'),
    `defaults: { capacity: ${CAPACITY}, refill: weekly, price_per_token: "0.0001", billing_cycle: { period: month } }\n`,
  );
  return config;
}

// What both services do together; `test/faults/cluster-moves.test.ts` moves slots under the sidecar alone each time.
test.runIf(fullLength)(
  `C12 ${MOVED} slots are moved under load, streams among them: nothing is doubled, overspent or lost`,
  {
    timeout: BRING_TIMEOUT_MS,
  },
  async () => {
    const [cluster, database, config] = await Promise.all([startRedisCluster(), createDatabase(), configured()]);
    const environment = {
      REDIS_CLUSTER_URLS: cluster.urls.join(','),
      DATABASE_URL: database.url,
      CONFIG_DIR: config,
      STORE_TIMEOUT_MS: '5000',
      POLICY_TIMEOUT_MS: '20000',
    };
    await startWorker(environment);
    const sidecars = await Promise.all([startSidecar(environment), startSidecar(environment)]);
    const stop = new AbortController();
    const moving = keepMoving(cluster, stop.signal);

    /** Where no answer came in time, only the same request tells whether it was taken: so it is asked again until it does. */
    const failed: string[] = [];
    const answers = await inParallel(REQUESTS, CALLERS, async (index) => {
      const tenant = tenants[index % TENANTS] as string;
      const input = { tenant_id: tenant, request_id: String(index) };
      for (;;) {
        const { body, status } = await ask((sidecars[index % 2] as Service).url, input, 'decision');
        const { allow, reason } = body.result as { allow: boolean; reason: string };
        if (reason !== 'counters_unavailable') return { tenant, status, allow, id: body.decision_id as string };
        failed.push(tenant);
      }
    });
    stop.abort();
    expect(await moving).toBeGreaterThanOrEqual(MOVED);

    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    const allowed = answers.filter(({ allow }) => allow);
    const perTenant = tenants.map((tenant) => allowed.filter((answer) => answer.tenant === tenant).length);
    expect(perTenant).toEqual(tenants.map(() => CAPACITY));
    expect(failed.filter((tenant) => !onTheMove.includes(partition(tenant)))).toEqual([]);

    const sql = postgres(database.url, { max: 1 });
    const ids = allowed.map(({ id }) => id).toSorted();
    await eventually(
      async () => {
        const rows = await sql`select decision_id from usage_events where type = 'consumed'`;
        expect(rows.map((row) => row.decision_id).toSorted()).toEqual(ids);
      },
      { timeoutMs: 60_000 },
    );
    const [sum] = await sql`select sum(requests)::int as requests, sum(tokens)::int as tokens from usage_rollups`;
    await sql.end();
    expect(sum).toEqual({ requests: CAPACITY * TENANTS, tokens: CAPACITY * TENANTS });
  },
);
