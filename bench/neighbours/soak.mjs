// `npm run bench:soak -- --help`
import { Command } from 'commander';
import { toStderr } from '../../scripts/lib/main.mjs';
import { compiledModule, tools, whole } from './setup.mjs';

const options = new Command()
  .name('bench:soak')
  .description('the sidecar at half load for a long time: its memory at the end to that after a sixth of the time')
  .option('--minutes <n>', 'of load', whole, 30)
  .option('--node <program>', 'of the systems that run on Node, in place of that of the image, which npm brings')
  .option('--check', 'end with 1 if it is more than 1.1')
  .parse()
  .opts();

const { soak } = await compiledModule('soak.js');
const steady = await soak(options, await tools(options), toStderr);
if (options.check && !steady) process.exitCode = 1;
