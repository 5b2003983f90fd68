import { createWriteStream } from 'node:fs';
import { resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import { toStderr } from '../lib/main.mjs';
import { projectRoot } from '../lib/root.mjs';
import { instant, whole } from './numbers.mjs';
import { absolute } from './place.mjs';
import { compiledModule, configDir, openPolicy } from './workbench.mjs';

/** So often a long replay says how far it is. */
const TOLD_EVERY = 20_000;

/** @param {import('commander').Command} program */
export function addReplay(program) {
  program
    .command('replay')
    .description(
      'ask a policy what others decided, from decision logs: who would have been denied, and what it would have cost',
    )
    .requiredOption('-b, --bundle <path>', 'the policy: a bundle, or a folder of Rego that is compiled now')
    .option('-l, --logs <paths...>', 'decision logs, and folders of them (default: those of DATA_DIR)')
    .option('--from <time>', 'from this time on, such as 2026-11-01', instant)
    .option('--to <time>', 'before this time', instant)
    .option('--config <dir>', 'the configuration, data.config (default: CONFIG_DIR, or the example)')
    .option('--call-seconds <seconds>', 'how long a call is taken to be in flight', whole(1, 86_400), 30)
    .option('--json', 'print JSON: all who asked')
    .option('--changes <file>', 'write each decision that differs, a line of JSON')
    .action(run);
}

/**
 * @typedef {object} Options
 * @property {string} bundle
 * @property {string[]} [logs]
 * @property {number} [from]
 * @property {number} [to]
 * @property {string} [config]
 * @property {number} callSeconds
 * @property {boolean} [json]
 * @property {string} [changes]
 */

/** @param {Options} options */
async function run(options) {
  const { runReplay } = await compiledModule('sidecar/simulation/replay/run.js');
  const policy = await openPolicy(options);
  const changes = options.changes === undefined ? undefined : createWriteStream(absolute(options.changes));
  try {
    const summary = await runReplay({
      policy,
      logs: options.logs?.map(absolute) ?? [await ownLogs()],
      from: options.from ?? Number.NEGATIVE_INFINITY,
      to: options.to ?? Number.POSITIVE_INFINITY,
      callMs: options.callSeconds * 1000,
      priceOf: await prices(options),
      onReplayed: follow(changes),
    });
    if (options.json) console.log(JSON.stringify(summary, null, 2));
    else console.log((await compiledModule('sidecar/simulation/replay/table.js')).replayTable(summary));
  } finally {
    await policy.close();
    changes?.end();
    if (changes) await finished(changes);
  }
}

/** @param {import('node:fs').WriteStream | undefined} changes */
function follow(changes) {
  let count = 0;
  /** @param {import('../../sidecar/simulation/replay/replay.ts').Replayed} replayed */
  return ({ difference, failure, recorded, would }) => {
    count += 1;
    if (count % TOLD_EVERY === 0) toStderr(`${count} decisions replayed`);
    if (!changes || difference === 'same') return;
    const { tenant_id, user_id } = recorded.request.subject;
    const { at, decisionId: decision_id, request, verdict } = recorded;
    const who = { decision_id, at: new Date(at).toISOString(), package: request.pkg, tenant_id, user_id };
    const line = { difference, ...who, recorded: verdict, would, ...(failure && { failure: failure.message }) };
    changes.write(`${JSON.stringify(line)}\n`);
  };
}

async function ownLogs() {
  const { readEnvironment } = await compiledModule('runtime/config/environment.js');
  return resolve(projectRoot, readEnvironment(process.env).DATA_DIR, 'decision-logs', 'files');
}

/** @param {Options} options */
async function prices({ config }) {
  const { loadConfig } = await compiledModule('runtime/config/files.js');
  const { pricePerToken } = await compiledModule('billing-worker/pricing/pricing.js');
  const { tenants } = loadConfig(configDir(config));
  return (/** @type {string} */ tenantId) => pricePerToken(tenants, tenantId);
}
