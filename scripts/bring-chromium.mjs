import { bringProgram } from './lib/bring-program.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { cacheDir as projectCache } from './lib/root.mjs';

/**
 * Finds or brings a real Chromium.
 * @param {import('./lib/bring-program.mjs').Options} options
 * @returns {Promise<string>} absolute path of the program
 */
export const bringChromium = (options) =>
  bringProgram(
    {
      name: 'chromium',
      variable: 'CHROMIUM_BIN',
      path: 'usr/lib/chromium/chromium',
      beside: ['chromium-common'],
      tellVersion: ['--version'],
      version: /Chrom/,
      size: '100 MB',
      howToGet: 'Debian: apt-get install chromium; Fedora: dnf install chromium; macOS: brew install --cask chromium',
    },
    options,
  );

if (isMain(import.meta.url)) console.log(await bringChromium({ cacheDir: projectCache, log: toStderr }));
