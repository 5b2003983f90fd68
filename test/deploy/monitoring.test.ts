import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS, bringPrometheus } from '../helpers/bring.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { type Dashboard, queriesOf, readDashboard } from '../metrics/dashboard.ts';

const folder = join(packageRoot, 'deploy/prometheus');
const exec = promisify(execFile);

interface Alert {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; description: string; runbook_url: string };
}

interface RuleTest {
  tests: { name: string; alert_rule_test?: { alertname: string; exp_alerts: unknown[] }[] }[];
}

let tools: Awaited<ReturnType<typeof bringPrometheus>>;
let alerts: Alert[];

beforeAll(async () => {
  tools = await bringPrometheus();
  const file = parse(await readFile(join(folder, 'alerts.yml'), 'utf8'));
  alerts = file.groups.flatMap(({ rules }: { rules: Alert[] }) => rules);
}, BRING_TIMEOUT_MS);

/** promtool makes a database for each of its tests, on the disk if nothing else is said: 8 of 11 seconds. */
const TMPDIR = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

const run = (program: string, args: string[], cwd = folder) =>
  exec(program, args, { cwd, env: { ...process.env, TMPDIR } });
const promtool = async (...args: string[]) => (await run(tools.promtool, args)).stdout;
const ruleTest = async (name: string): Promise<RuleTest> =>
  parse(await readFile(join(folder, 'tests', `${name}.yml`), 'utf8'));

describe('the rules', () => {
  test('are sound, and so is the configuration that names them', async () => {
    expect(await promtool('check', 'config', 'prometheus.yml')).toContain('SUCCESS');
    expect(await promtool('check', 'rules', 'recording.yml', 'alerts.yml')).not.toContain('FAILED');
  });

  test('do on made data what they are to do, and nothing on normal data', async () => {
    const files = (await readdir(join(folder, 'tests'))).map((name) => `tests/${name}`);
    expect(files).toHaveLength(4);
    expect((await promtool('test', 'rules', ...files)).match(/SUCCESS/g)).toHaveLength(4);
  });

  test('a rule that were another would be noticed', async () => {
    const dir = await tempDir('rules');
    for (const name of ['recording.yml', 'alerts.yml', 'tests/fires.yml', 'tests/quiet.yml']) {
      const text = await readFile(join(folder, name), 'utf8');
      await writeFile(
        join(dir, name.replace('tests/', '')),
        text.replace('../', '').replace('../', '').replaceAll('> 0.8', '> 0.9').replaceAll('> 5\n', '> 1\n'),
      );
    }
    await expect(run(tools.promtool, ['test', 'rules', 'fires.yml'], dir)).rejects.toThrow(/TeamNearLimit/);
    await expect(run(tools.promtool, ['test', 'rules', 'quiet.yml'], dir)).rejects.toThrow(/UserDailySpend/);
  });

  test('each alert is shown to fire and to be quiet', async () => {
    const names = alerts.map(({ alert }) => alert).toSorted();
    const checks = async (...files: string[]) =>
      (await Promise.all(files.map(ruleTest))).flatMap(({ tests }) =>
        tests.flatMap((one) => one.alert_rule_test ?? []),
      );
    const fires = (await checks('fires', 'day')).filter(({ exp_alerts }) => exp_alerts.length === 1);
    expect(fires.map(({ alertname }) => alertname).toSorted()).toEqual(names);
    const quiet = (await checks('quiet')).filter(({ exp_alerts }) => exp_alerts.length === 0);
    expect(quiet.map(({ alertname }) => alertname).toSorted()).toEqual(names);
    expect(new Set(names).size).toBe(names.length);
  });

  test('each alert says what is the matter, and the page says what to do', async () => {
    const page = await readFile(join(packageRoot, 'docs/monitoring.md'), 'utf8');
    const headings = [...page.matchAll(/^### (\w+)$/gm)].map(([, name]) => name);
    expect(headings).toEqual(alerts.map(({ alert }) => alert));
    for (const { alert, annotations, labels } of alerts) {
      expect(['info', 'warning', 'critical']).toContain(labels.severity);
      expect(annotations.runbook_url).toBe(`docs/monitoring.md#${alert.toLowerCase()}`);
      expect(annotations.summary.length).toBeGreaterThan(10);
      expect(annotations.description).toContain('$');
      const [, text = ''] = page.split(`### ${alert}\n`);
      expect(text.split('\n### ')[0]).toMatch(/\*\*What to do\.\*\* \S/);
    }
  });
});

test('the example of Alertmanager is sound, and sends each severity somewhere', async () => {
  const file = join(packageRoot, 'deploy/alertmanager/alertmanager.yml');
  expect((await exec(tools.amtool, ['check-config', file])).stdout).toContain('SUCCESS');
  const receiver = async (...labels: string[]) =>
    (await exec(tools.amtool, ['config', 'routes', 'test', `--config.file=${file}`, ...labels])).stdout.trim();
  expect(await receiver('alertname=StoreAway', 'severity=critical')).toBe('slack-critical');
  expect(await receiver('alertname=BudgetNearThreshold', 'severity=info')).toBe('slack-budgets');
  expect(await receiver('alertname=TeamNearLimit', 'severity=warning')).toBe('slack-budgets');
  expect(await receiver('alertname=DeadLetters', 'severity=warning')).toBe('slack-operators');
});

describe('the dashboard', () => {
  let dashboard: Dashboard;
  beforeAll(async () => {
    dashboard = await readDashboard();
  });

  test('has panels that Grafana can tell apart and lay out', () => {
    const { panels } = dashboard;
    for (const key of ['id', 'title'] as const)
      expect(new Set(panels.map((panel) => panel[key])).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { h, w, x, y } }) => {
      expect(x + w).toBeLessThanOrEqual(24);
      return Array.from({ length: w * h }, (_, n) => `${x + (n % w)} ${y + Math.floor(n / w)}`);
    });
    expect(new Set(cells).size).toBe(cells.length);
    for (const { description, targets = [], type } of panels.filter((panel) => panel.type !== 'row')) {
      expect(description?.length, type).toBeGreaterThan(5);
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
      expect(targets.length).toBeGreaterThan(0);
    }
  });

  test('asks the Prometheus that is chosen, and no other', () => {
    expect(dashboard.templating.list.find(({ name }) => name === 'datasource')).toMatchObject({
      type: 'datasource',
      query: 'prometheus',
    });
    const used = JSON.stringify(dashboard).match(/"uid":"([^"]+)"/g);
    expect([...new Set(used)].toSorted()).toEqual([`"uid":"$\{datasource}"`, '"uid":"openclaw-rating"']);
  });

  test('has the panels that the project promises', () => {
    const types = new Map(dashboard.panels.map(({ title, type }) => [title, type]));
    expect(types.get('Daily spend by user')).toBe('timeseries');
    expect(types.get('Spend by user and model, 7 days')).toBe('piechart');
    expect(types.get('Latency of calls')).toBe('heatmap');
    expect(types.get('Provider cost beside seats, 30 days')).toBe('stat');
  });

  test('every query can be read by Prometheus', async () => {
    const rules = queriesOf(dashboard).map(({ expr }, n) => ({ record: `query:${n}`, expr }));
    const file = join(await tempDir('queries'), 'queries.yml');
    await writeFile(file, JSON.stringify({ groups: [{ name: 'queries', rules }] }));
    expect(await promtool('check', 'rules', file)).toContain(`${rules.length} rules found`);
  });
});
