import { collectDefaultMetrics, type Registry } from 'prom-client';
import type { ConfigStatus } from '../config/live-config.ts';
import { packageVersion } from '../package-root.ts';
import { gaugeOf, infoOf, totalOf } from './observed.ts';

/** Sums of metrics that are there by type, under names that are for counters only. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** What both services tell of themselves: Node's own metrics, the version, and whether the configuration in use is what the files say. */
export function observeProcess(registry: Registry, status: () => ConfigStatus): void {
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const labels = { version: packageVersion };
  infoOf(
    registry,
    { name: 'openclaw_build_info', help: 'The version of this program.', labelNames: ['version'] },
    () => labels,
  );
  gaugeOf(
    registry,
    'openclaw_config_failing',
    '1 while the configuration files cannot be used; the configuration of before is in use.',
    () => (status().problems.length ? 1 : 0),
  );
  totalOf(
    registry,
    'openclaw_config_reloads_total',
    'Changed configurations that came into use.',
    () => status().reloads,
  );
}
