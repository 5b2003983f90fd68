import { readInputs } from './inputs.mjs';
import { instant, whole } from './numbers.mjs';
import { compiledModule, openWorkbench, withPolicyOptions } from './workbench.mjs';

/** @param {import('commander').Command} program */
export function addEval(program) {
  withPolicyOptions(program.command('eval'))
    .description('show what comes of an input: plan, take from counters of its own, decision')
    .option('-n, --times <number>', 'ask so many times', whole(1, 100_000), 1)
    .option('--every <seconds>', 'so much time passes between two requests', whole(0, 31_536_000), 0)
    .option('--at <time>', 'when it is asked, such as 2026-11-21T09:00:00Z (default: now)', instant)
    .option('--json', 'print JSON: every request with its plan, outcome and decision')
    .action(async ({ input, ...options }) => {
      if (input === undefined) throw new Error(`--input is missing; such as --input '{"tenant_id": "acme"}'`);
      const inputs = await readInputs(input);
      const workbench = await openWorkbench(options);
      try {
        await show(await tried(workbench, inputs, options), workbench, options.json === true);
      } finally {
        await workbench.policy.close();
      }
    });
}

/**
 * @param {import('../../sidecar/workbench/open.ts').Workbench} workbench
 * @param {unknown[]} inputs
 * @param {{ at?: number, every: number, times: number }} options
 * @returns {Promise<import('../../sidecar/workbench/trials.ts').Trial[]>}
 */
async function tried(workbench, inputs, { at, every, times }) {
  const { tryInTurn } = await compiledModule('sidecar/workbench/trials.js');
  const { systemClock } = await compiledModule('runtime/clock.js');
  return tryInTurn({ ...workbench, inputs, times, at: at ?? systemClock.now(), everyMs: every * 1000 });
}

/**
 * A denial is an answer. A policy that failed is none.
 * @param {import('../../sidecar/workbench/trials.ts').Trial[]} trials
 * @param {import('../../sidecar/workbench/open.ts').Workbench} workbench
 * @param {boolean} json
 */
async function show(trials, { pkg, policy }, json) {
  if (json) {
    const { trialJson } = await compiledModule('sidecar/workbench/trials.js');
    const document = { package: pkg, revision: policy.revision, requests: trials.map(trialJson) };
    console.log(JSON.stringify(document, null, 2));
  } else {
    const { trialsView } = await compiledModule('sidecar/workbench/trial-view.js');
    console.log(trialsView(trials, pkg));
  }
  const failed = trials.map(({ answer }) => answer !== 'conflict' && answer.failure).find(Boolean);
  if (failed) throw new Error(`the policy failed, which is a denial: ${failed.message}`);
}
