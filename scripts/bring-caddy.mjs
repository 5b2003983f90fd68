import { bringProgram } from './lib/bring-program.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { cacheDir } from './lib/root.mjs';

/**
 * Finds or brings a real Caddy, 2.5.1 or later: `forward_auth` is not in those before.
 * @param {import('./lib/bring-program.mjs').Options} options
 */
export const bringCaddy = (options) =>
  bringProgram(
    {
      name: 'caddy',
      variable: 'CADDY_BIN',
      path: 'usr/bin/caddy',
      tellVersion: ['version'],
      version: /^v?(2\.(5\.[1-9]|[6-9]|[1-9]\d)|[3-9])/,
      size: '9 MB',
      howToGet:
        'Debian 12, Ubuntu 23.04 or later: apt-get install caddy; Fedora: dnf install caddy; Alpine: apk add caddy; macOS: brew install caddy',
    },
    options,
  );

if (isMain(import.meta.url)) console.log(await bringCaddy({ cacheDir, log: toStderr }));
