import { bringProgram } from './lib/bring-program.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { cacheDir } from './lib/root.mjs';

/**
 * Finds or brings wrk, which makes the benchmark's load.
 * @param {import('./lib/bring-program.mjs').Options} options
 */
export const bringWrk = (options) =>
  bringProgram(
    {
      name: 'wrk',
      variable: 'WRK_BIN',
      path: 'usr/bin/wrk',
      tellVersion: ['-v'],
      version: /^wrk .*Copyright/,
      size: '1 MB',
      howToGet:
        'Debian, Ubuntu: apt-get install wrk; Fedora: dnf install wrk; Alpine: apk add wrk; macOS: brew install wrk',
    },
    options,
  );

if (isMain(import.meta.url)) console.log(await bringWrk({ cacheDir, log: toStderr }));
