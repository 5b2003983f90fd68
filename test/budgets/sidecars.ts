import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../runtime/package-root.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startSidecar } from '../helpers/services.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/** No day and no month ends while the test runs. */
const resetTime = () => (new Date().getUTCHours() < 12 ? '18:00' : '06:00');

/** The shipped folder of configuration, with budgets switched on that stop at their end. */
export async function shippedFolder(): Promise<string> {
  const folder = await tempDir('config');
  await cp(join(packageRoot, 'config'), folder, { recursive: true });
  const file = join(folder, 'budgets.yaml');
  const text = await readFile(file, 'utf8');
  const edits = [
    ['  enabled: false\n  default_limits', '  enabled: true\n  default_limits'],
    ['action: soft_limit #', 'action: hard_stop #'],
    ['daily_reset_time: "00:00"', `daily_reset_time: "${resetTime()}"`],
  ] as const;
  for (const [was] of edits) if (!text.includes(was)) throw new Error(`${file} has no ${was} any more`);
  const edited = edits.reduce((so, [was, is]) => so.replace(was, is), text);
  await writeFile(file, edited);
  return folder;
}

/** So many sidecars on one Redis. */
export async function sidecarsOn(count: number, more: Record<string, string> = {}): Promise<string[]> {
  const [redis, folder] = await Promise.all([startRedis(), more.CONFIG_DIR ?? shippedFolder()]);
  const environment = { REDIS_URL: redis.url, CONFIG_DIR: folder, STORE_TIMEOUT_MS: '10000', ...more };
  const sidecars = await Promise.all(Array.from({ length: count }, () => startSidecar(environment)));
  return sidecars.map(({ url }) => url);
}
