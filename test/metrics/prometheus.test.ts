import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { packageRoot } from '../../runtime/package-root.ts';
import { bringPrometheus } from '../helpers/bring.ts';
import { Child } from '../helpers/child.ts';
import { eventually } from '../helpers/eventually.ts';
import { onFreePort } from '../helpers/free-port.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { queriesOf, readDashboard } from './dashboard.ts';
import { metricsOf, type Observed, startObserved } from './observed-services.ts';

const SONNET = 'anthropic/claude-sonnet-4-5';
const exec = promisify(execFile);

let services: Observed;
let prometheus: string;
let promtool: string;

beforeAll(async () => {
  const programs = await bringPrometheus();
  promtool = programs.promtool;
  services = await startObserved({ DECISION_LOGS: 'file' });
  prometheus = await startPrometheus(programs.prometheus);
  await use();
}, 120_000);

/** With the shipped rules, and the shipped scrape configuration but for addresses and intervals. */
async function startPrometheus(program: string): Promise<string> {
  const folder = join(packageRoot, 'deploy/prometheus');
  const file = parse(await readFile(join(folder, 'prometheus.yml'), 'utf8'));
  const targets: Record<string, string> = {
    'openclaw-sidecar': services.sidecar.url,
    'openclaw-billing-worker': services.worker.url,
  };
  const dir = await tempDir('prometheus');
  const config = {
    global: { scrape_interval: '250ms', scrape_timeout: '250ms', evaluation_interval: '500ms' },
    rule_files: file.rule_files.map((name: string) => join(folder, name)),
    scrape_configs: file.scrape_configs.map((job: { job_name: string }) => ({
      ...job,
      static_configs: [{ targets: [new URL(targets[job.job_name] ?? '').host] }],
    })),
  };
  // JSON is YAML.
  await writeFile(join(dir, 'prometheus.yml'), JSON.stringify(config));
  return onFreePort(
    async (port) => {
      const args = [
        `--config.file=${dir}/prometheus.yml`,
        `--storage.tsdb.path=${dir}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
      ];
      const child = new Child(program, { args, cwd: dir });
      await child.waitForLine(/Server is ready to receive web requests/, 30_000);
      return `http://127.0.0.1:${port}`;
    },
    (error) => /address already in use/.test(String(error)),
  );
}

/** What a day brings: calls that succeed, fail and are refused, budgets, a team. Twice, for a rate takes two numbers. */
async function use(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    const granted = await Promise.all([0, 1, 2].map((n) => services.decide(call(`alice-${n}`, `${round}-${n}`))));
    const ids = granted.map(({ body }) => body.decision_id);
    const usage = { input: 10_000, output: 500, cache_read: 100, cache_write: 10 };
    await Promise.all([
      services.report({ decision_id: ids[0], outcome: 'succeeded', usage }),
      services.report({ decision_id: ids[1], outcome: 'succeeded', usage }),
      services.report({ decision_id: ids[2], outcome: 'failed', error: { status: 503 } }),
    ]);
    for (let n = 0; n < 4; n++)
      await services.decide({ tenant_id: 'small', user_id: 'sam', model: 'bedrock/nova-micro' });
    await scraped();
  }
}

const call = (user: string, request: string) => ({
  tenant_id: 'acme',
  user_id: user,
  team_id: 'engineering',
  model: SONNET,
  request_id: request,
  estimated_tokens: 100,
});

/** Until both have been scraped twice more. */
async function scraped(): Promise<void> {
  const times = async () => (await query('sum by (job) (scrape_samples_scraped * 0 + timestamp(up) * 1000)')).length;
  await eventually(async () => expect(await times()).toBe(2), { timeoutMs: 20_000 });
  const last = async () => Number((await query('min(timestamp(up))'))[0]?.value[1]);
  const before = await last();
  await eventually(async () => expect(await last()).toBeGreaterThan(before + 0.6), { timeoutMs: 20_000 });
}

interface Sample {
  metric: Record<string, string>;
  value: [number, string];
}

async function query(expr: string): Promise<Sample[]> {
  const response = await fetch(`${prometheus}/api/v1/query?${new URLSearchParams({ query: expr })}`);
  const { data, error } = (await response.json()) as { data?: { result: Sample[] }; error?: string };
  if (!data) throw new Error(`${expr}: ${error}`);
  return data.result;
}

const numberOf = async (expr: string) => Number((await query(expr))[0]?.value[1]);

test('a real Prometheus scrapes both, and its rules are all evaluated', async () => {
  await eventually(async () => {
    const up = await query('up == 1');
    expect(up.map(({ metric }) => metric.job).toSorted()).toEqual(['openclaw-billing-worker', 'openclaw-sidecar']);
    const rules = (await (await fetch(`${prometheus}/api/v1/rules`)).json()) as {
      data: { groups: { rules: { name: string; health: string; lastError?: string }[] }[] };
    };
    const all = rules.data.groups.flatMap(({ rules }) => rules);
    expect(all.filter(({ health }) => health !== 'ok')).toEqual([]);
    expect(all.length).toBeGreaterThan(35);
  });
});

test('promtool finds nothing to say of what both tell', async () => {
  for (const service of [services.sidecar, services.worker]) {
    const running = exec(promtool, ['check', 'metrics']);
    running.child.stdin?.end(await metricsOf(service));
    const { stderr, stdout } = await running;
    expect(`${stdout}${stderr}`).toBe('');
  }
});

test('each query of the dashboard has data', async () => {
  const queries = queriesOf(await readDashboard());
  const now = Date.now() / 1_000;
  const missing = async ({ expr, panel }: { expr: string; panel: string }) => {
    const parameters = { query: expr, start: String(now - 30), end: String(Date.now() / 1_000), step: '1' };
    const response = await fetch(`${prometheus}/api/v1/query_range?${new URLSearchParams(parameters)}`);
    const { data, error } = (await response.json()) as {
      data?: { result: { values: [number, string][] }[] };
      error?: string;
    };
    const found = data?.result.some(({ values }) => values.some(([, value]) => Number.isFinite(Number(value))));
    return found ? [] : [{ panel, expr, error }];
  };
  await eventually(async () => expect((await Promise.all(queries.map(missing))).flat()).toEqual([]), {
    timeoutMs: 20_000,
    intervalMs: 500,
  });
  expect(queries.length).toBeGreaterThan(30);
});

test('what was used is told once, by user and model, and under the names of existing dashboards', async () => {
  // 3 rounds × (10,000 × 3 + 500 × 15 + 100 × 3 + 10 × 3 USD for a million)
  const spent = 3 * (0.03 + 0.0075 + 0.0003 + 0.00003);
  await eventually(async () => {
    expect(await numberOf(`litellm_spend_metric{end_user="alice-0", model="${SONNET}"}`)).toBeCloseTo(spent, 9);
    expect(await numberOf('litellm_requests_metric{end_user="alice-0", status="allowed"}')).toBe(3);
    expect(await numberOf('litellm_requests_metric{end_user="sam", status="denied"}')).toBe(9);
    expect(await numberOf(`litellm_llm_api_latency_metric_bucket{model="${SONNET}", le="+Inf"}`)).toBe(6);
    expect(await numberOf('sum(openclaw_llm_tokens_total{type="input"})')).toBe(3 * 2 * 10_000);
    expect(await numberOf('sum(openclaw_requests_total)')).toBe(await numberOf('sum(openclaw_decisions_total)'));
    // Four calls of 10,610 tokens before the last three.
    expect(await numberOf('max(openclaw_limit_used_ratio{subject="engineering", limit=~".*:day"})')).toBeCloseTo(
      0.426,
      2,
    );
    expect(await numberOf('sum(openclaw_usage_reports_total{outcome="failed", error="server"})')).toBe(3);
    expect(await numberOf('openclaw_store_up')).toBe(1);
    expect(await numberOf('openclaw_database_up')).toBe(1);
    expect(await numberOf('sum(openclaw_throttled_decisions_total)')).toBe(9);
  });
});

test('`increase` sees what a series began with', async () => {
  await eventually(async () => {
    expect(
      await numberOf(
        'sum(max_over_time(openclaw_spend_usd_total{end_user="alice-1"}[1m]) - min_over_time(openclaw_spend_usd_total{end_user="alice-1"}[1m]))',
      ),
    ).toBeCloseTo(0.11349, 6);
  });
});

test('every metric that an alert asks for is there', async () => {
  const alerts = parse(await readFile(join(packageRoot, 'deploy/prometheus/alerts.yml'), 'utf8'));
  const exprs: string[] = alerts.groups.flatMap(({ rules }: { rules: { expr: string }[] }) =>
    rules.map(({ expr }) => expr),
  );
  const names = new Set(exprs.flatMap((expr) => expr.match(/\bopenclaw_[a-z0-9_]+/g) ?? []));
  const told = `${await metricsOf(services.sidecar)}${await metricsOf(services.worker)}`;
  const only = ['openclaw_invoice_deliveries_failed', 'openclaw_notices_total'];
  const isTold = (name: string) => told.includes(`# TYPE ${name.replace(/_bucket$/, '')} `);
  expect([...names].filter((name) => !isTold(name)).toSorted()).toEqual(only);
});
