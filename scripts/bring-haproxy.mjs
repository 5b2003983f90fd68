import { bringProgram } from './lib/bring-program.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { cacheDir } from './lib/root.mjs';

/**
 * Finds or brings a real HAProxy, 2.2 or later: `http-check send` is not in those before.
 * @param {import('./lib/bring-program.mjs').Options} options
 */
export const bringHaproxy = (options) =>
  bringProgram(
    {
      name: 'haproxy',
      variable: 'HAPROXY_BIN',
      path: 'usr/sbin/haproxy',
      tellVersion: ['-v'],
      version: /^HA-?Proxy version (2\.([2-9]|[1-9]\d)|[3-9])/i,
      size: '2 MB',
      howToGet:
        'Debian, Ubuntu: apt-get install haproxy; Fedora: dnf install haproxy; Alpine: apk add haproxy; macOS: brew install haproxy',
    },
    options,
  );

if (isMain(import.meta.url)) console.log(await bringHaproxy({ cacheDir, log: toStderr }));
