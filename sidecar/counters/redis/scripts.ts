import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../runtime/package-root.ts';

const FOLDER = join(packageRoot, 'sidecar/counters/redis/lua');
const INCLUDE = /^-- @include ([\w-]+)$/gm;

export interface Script {
  name: string;
  source: string;
  /** SHA-1 of the source, as `EVALSHA` wants it. */
  sha: string;
}

export interface Scripts {
  take: Script;
  settle: Script;
  due: Script;
  expire: Script;
  deny: Script;
  gate: Script;
  grantBudget: Script;
  revokeGrant: Script;
  budgetGrants: Script;
  changeApiKeys: Script;
  publishApiKeys: Script;
  dropApiKeys: Script;
  apiKeyIds: Script;
  noteApiKeysUsed: Script;
  audit: Script;
  providerOutcome: Script;
  providerHealth: Script;
  raise: Script;
  partitions: Script;
}

/**
 * Reads the Lua scripts; the number in a file's name is that of the keys that every call has. A line `-- @include name` stands for
 * `includes/name.lua`. `replace` puts other text in an include's place: tests set the store's clock with it.
 */
export function loadScripts(replace: Record<string, string> = {}): Scripts {
  return {
    take: load('take-3', replace),
    settle: load('settle-3', replace),
    due: load('due-2', replace),
    expire: load('expire-2', replace),
    deny: load('deny-1', replace),
    gate: load('gate-1', replace),
    grantBudget: load('grant-budget-2', replace),
    revokeGrant: load('revoke-grant-2', replace),
    budgetGrants: load('budget-grants-1', replace),
    changeApiKeys: load('change-api-keys-2', replace),
    publishApiKeys: load('publish-api-keys-1', replace),
    dropApiKeys: load('drop-api-keys-2', replace),
    apiKeyIds: load('api-key-ids-1', replace),
    noteApiKeysUsed: load('note-api-keys-used-2', replace),
    audit: load('audit-1', replace),
    providerOutcome: load('provider-outcome-3', replace),
    providerHealth: load('provider-health-1', replace),
    raise: load('raise-1', replace),
    partitions: load('partitions-1', replace),
  };
}

function load(name: string, replace: Record<string, string>): Script {
  const source = readFileSync(join(FOLDER, `${name}.lua`), 'utf8').replace(
    INCLUDE,
    (_, include: string) => replace[include] ?? readFileSync(join(FOLDER, 'includes', `${include}.lua`), 'utf8'),
  );
  return { name, source, sha: createHash('sha1').update(source).digest('hex') };
}
