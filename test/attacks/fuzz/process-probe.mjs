// Loaded into a process under attack (`--import`): at each SIGUSR2 it says how it stands.
import { writeSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  process.on('SIGUSR2', () => {
    collect();
    const polluted = [Object, Array, String, Function].flatMap(({ prototype }) => Object.keys(prototype));
    if ({}.polluted !== undefined) polluted.push('polluted');
    const { external, heapUsed, rss } = process.memoryUsage();
    const handles = process.getActiveResourcesInfo().length;
    writeSync(1, `${JSON.stringify({ probe: { polluted, heapUsed: heapUsed + external, rss, handles } })}\n`);
  });
}
