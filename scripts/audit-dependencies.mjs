// `npm run audit:dependencies`: asks the package registry for known weaknesses of what the services run on, by package-lock.json. Ends with 0
// where it knows none, 1 where it knows some, and 2 where it cannot be asked: that is no proof of anything.
import { join } from 'node:path';
import { toStderr } from './lib/main.mjs';
import { projectRoot } from './lib/root.mjs';
import { run } from './lib/run.mjs';

/** One repetition, soon: whoever has no network is to hear of it at once. */
const PATIENCE = ['--fetch-retries=1', '--fetch-retry-mintimeout=1000', '--fetch-timeout=60000'];

const { problem, stdout } = await run('npm', ['audit', '--omit=dev', '--json', ...PATIENCE], { cwd: projectRoot });
const report = parsed(stdout);
if (report?.vulnerabilities === undefined) {
  toStderr(
    `the dependencies of ${join(projectRoot, 'package-lock.json')} were NOT audited: ${said(report) ?? problem}`,
  );
  process.exitCode = 2;
} else {
  const found = Object.values(report.vulnerabilities);
  for (const one of found) console.log(described(one));
  const { prod } = report.metadata.dependencies;
  console.log(`${prod} dependencies audited, ${found.length} with a known weakness`);
  process.exitCode = found.length ? 1 : 0;
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {{ message?: string, error?: { summary?: string } } | undefined} report of a failure */
function said(report) {
  return report?.message || report?.error?.summary || undefined;
}

/**
 * @typedef {object} Weakness
 * @property {string} name
 * @property {string} severity
 * @property {string} range of versions
 * @property {(string | { title: string, url: string })[]} via what is wrong with it, or the dependency that is
 * @property {boolean | { name: string, version: string }} fixAvailable
 *
 * @param {Weakness} weakness
 */
function described({ fixAvailable, name, range, severity, via }) {
  const why = via.map((one) => (typeof one === 'string' ? `by ${one}` : `${one.title} (${one.url})`)).join('; ');
  const by = typeof fixAvailable === 'object' ? `${fixAvailable.name} ${fixAvailable.version}` : 'npm audit fix';
  return `${severity}  ${name} ${range}: ${why}. ${fixAvailable ? `Mended by ${by}` : 'No version mends it yet'}`;
}
