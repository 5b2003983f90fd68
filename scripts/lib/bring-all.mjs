import { bringCaddy } from '../bring-caddy.mjs';
import { bringChromium } from '../bring-chromium.mjs';
import { bringFaketime } from '../bring-faketime.mjs';
import { bringHaproxy } from '../bring-haproxy.mjs';
import { bringNginx } from '../bring-nginx.mjs';
import { bringPostgres } from '../bring-postgres.mjs';
import { bringPrometheus } from '../bring-prometheus.mjs';
import { bringRedis } from '../bring-redis.mjs';
import { bringWrk } from '../bring-wrk.mjs';
import { seconds } from './progress.mjs';

/** @typedef {import('./progress.mjs').Log} Log */
/** @typedef {(options: { cacheDir: string, log: Log }) => Promise<unknown>} Bring */

/**
 * What the tests run against.
 * @type {{ name: string, tests: string, bring: Bring }[]}
 */
const COMPONENTS = [
  { name: 'redis-server', tests: 'the tests on a real Redis', bring: bringRedis },
  { name: 'PostgreSQL', tests: 'the tests on a real PostgreSQL', bring: bringPostgres },
  { name: 'wrk', tests: 'the short run of the benchmark', bring: bringWrk },
  { name: 'nginx', tests: 'the tests on a real bundle server', bring: bringNginx },
  { name: 'Caddy', tests: 'the tests on a real Caddy', bring: bringCaddy },
  { name: 'HAProxy', tests: 'the tests of two sidecars behind a real balancer', bring: bringHaproxy },
  { name: 'libfaketime', tests: 'the tests of clocks that are set back and forth', bring: bringFaketime },
  { name: 'Chromium', tests: 'the tests of the pages in a real browser', bring: bringChromium },
  {
    name: 'Prometheus',
    tests: 'the tests of metrics, rules and dashboard on a real Prometheus',
    bring: bringPrometheus,
  },
  { name: 'kubeconform', tests: 'the tests of the Kubernetes files against its schemas', bring: bringKubeconform },
  { name: 'stripe-mock', tests: 'the tests of what is sent to Stripe against its schema', bring: bringStripeMock },
  { name: 'Node', tests: 'the tests of what the image holds, on its own Node', bring: bringNode },
  { name: 'OpenClaw', tests: 'the tests of the plugin in a real OpenClaw', bring: bringOpenClaw },
  { name: 'opa', tests: 'the tests that compare with a real OPA', bring: bringOpa },
];

/** @type {Bring} */
async function bringStripeMock(options) {
  return (await import('../bring-stripe-mock.mjs')).bringStripeMock(options);
}

/** @type {Bring} */
async function bringNode(options) {
  return (await import('../bring-node.mjs')).bringNode(options);
}

/** @type {Bring} */
async function bringOpenClaw(options) {
  return (await import('../bring-openclaw.mjs')).bringOpenClaw(options);
}

/** @type {Bring} */
async function bringKubeconform(options) {
  return (await import('../bring-kubeconform.mjs')).bringKubeconform(options);
}

/** @type {Bring} */
async function bringOpa(options) {
  return (await import('../bring-opa.mjs')).bringOpa(options);
}

/**
 * Brings every component, one after the other, and says so.
 * @param {{ cacheDir: string, log: Log }} options
 * @returns {Promise<string[]>} of each that could not be brought: why, how to get it, and which tests are left out
 */
export async function bringAll(options) {
  const problems = [];
  for (const { name, tests, bring } of COMPONENTS) {
    const began = performance.now();
    try {
      await bring(options);
      options.log(`${name}: ready after ${seconds(began)} s`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      problems.push(`${name} cannot be brought: ${reason}\n  Left out: ${tests}.`);
    }
  }
  return problems;
}
