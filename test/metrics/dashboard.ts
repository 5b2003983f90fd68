import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../runtime/package-root.ts';

interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  datasource?: { type: string; uid: string };
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { refId: string; expr: string; datasource: { uid: string } }[];
}

export interface Dashboard {
  uid: string;
  title: string;
  schemaVersion: number;
  templating: { list: { name: string; type: string; query: unknown }[] };
  panels: Panel[];
}

export const readDashboard = async (): Promise<Dashboard> =>
  JSON.parse(await readFile(join(packageRoot, 'deploy/grafana/openclaw.json'), 'utf8'));

/** What Grafana puts in place of its variables, for a Prometheus that scrapes every quarter of a second. */
const VARIABLES: Record<string, string> = {
  $__rate_interval: '20s',
  $__range: '1h',
  $tenant: '.*',
  $model: '.*',
  $seat_price: '20',
};

export const queriesOf = ({ panels }: Dashboard): { panel: string; expr: string }[] =>
  panels.flatMap(({ targets = [], title }) =>
    targets.map(({ expr }) => ({
      panel: title,
      expr: expr.replace(/\$\w+/g, (name) => {
        const value = VARIABLES[name];
        if (value === undefined) throw new Error(`${title}: ${name} is not a variable of the dashboard`);
        return value;
      }),
    })),
  );
