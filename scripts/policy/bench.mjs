import { join } from 'node:path';
import { projectRoot } from '../lib/root.mjs';
import { readInputs } from './inputs.mjs';
import { whole } from './numbers.mjs';
import { compiledModule, openWorkbench, withPolicyOptions } from './workbench.mjs';

const TRIVIAL = join(projectRoot, 'scripts', 'policy', 'trivial');

/** @param {import('commander').Command} program */
export function addBench(program) {
  withPolicyOptions(program.command('bench'))
    .description('measure how long plan and decision take, beside a policy that does nothing')
    .option('--ms <milliseconds>', 'so long for each measurement', whole(1, 600_000), 1_000)
    .option('--json', 'print JSON')
    .action(async ({ input, ...options }) => {
      const inputs = await readInputs(input ?? '{"tenant_id": "acme"}');
      const { measure, measuredTable } = await compiledModule('sidecar/workbench/measure.js');
      const { systemClock } = await compiledModule('runtime/clock.js');
      const workbench = await openWorkbench(options);
      const trivial = await openWorkbench({ bundle: TRIVIAL, config: options.config });
      try {
        const measured = await measure({ ...workbench, trivial, inputs, clock: systemClock, milliseconds: options.ms });
        console.log(options.json ? JSON.stringify(measured, null, 2) : measuredTable(measured));
      } finally {
        await Promise.all([workbench.policy.close(), trivial.policy.close()]);
      }
    });
}
