// `npm run bench -- --help`
import { Command } from 'commander';
import { toStderr } from '../../scripts/lib/main.mjs';
import { compiledModule, tools, whole } from './setup.mjs';

const options = new Command()
  .name('bench')
  .description('this project beside its neighbours: the same requests to each, every answer checked, one table')
  .option('--only <names>', 'systems, separated by commas', (text) => text.split(','))
  .option('--seconds <n>', 'of each round', whole, 5)
  .option('--rounds <n>', 'in which all take turns; the median counts', whole, 3)
  .option('--check', 'end with 1 if a ratio is not what is wanted')
  .option(
    '--profiles <folder>',
    'keep CPU profiles of the sidecar there; making them takes time, so the figures are none',
  )
  .option('--node <program>', 'of the systems that run on Node, in place of that of the image, which npm brings')
  .option('--dry', 'keep no file of the numbers')
  .parse()
  .opts();

const { benchmark } = await compiledModule('benchmark.js');
const reached = await benchmark(options, await tools(options), toStderr);
if (options.check && !reached) process.exitCode = 1;
