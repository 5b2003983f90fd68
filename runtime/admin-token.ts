import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The admin token that a start without `ADMIN_TOKEN` makes for itself, on a loopback address only. It is kept in
 * `DATA_DIR`, readable by its owner alone, so that a bookmark goes on working after a restart.
 */
export function keptAdminToken(dataDir: string): string {
  const file = join(dataDir, 'admin-token');
  try {
    const kept = readFileSync(file, 'utf8').trim();
    if (kept) return kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const token = randomBytes(24).toString('base64url');
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  return token;
}
