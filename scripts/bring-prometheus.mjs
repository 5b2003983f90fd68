import { dirname, join } from 'node:path';
import { bringProgram } from './lib/bring-program.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { cacheDir } from './lib/root.mjs';

/** @typedef {import('./lib/bring-program.mjs').Options} Options */

/**
 * Finds or brings a real Prometheus with its promtool, and an Alertmanager with its amtool. PROMETHEUS_BIN and
 * ALERTMANAGER_BIN may name others; their tools are then looked for beside them.
 * @param {Options} options
 * @returns {Promise<{ prometheus: string, promtool: string, alertmanager: string, amtool: string }>} absolute paths
 */
export async function bringPrometheus(options) {
  const prometheus = await bringProgram(PROMETHEUS, options);
  const alertmanager = await bringProgram(ALERTMANAGER, options);
  return {
    prometheus,
    promtool: join(dirname(prometheus), 'promtool'),
    alertmanager,
    amtool: join(dirname(alertmanager), 'amtool'),
  };
}

const PROMETHEUS = {
  name: 'prometheus',
  variable: 'PROMETHEUS_BIN',
  path: 'usr/bin/prometheus',
  also: ['usr/bin/promtool'],
  tellVersion: ['--version'],
  version: /^prometheus, version (2\.(4\d|[5-9]\d)|[3-9]\.)/,
  size: '19 MB',
  howToGet: 'Debian, Ubuntu: apt-get install prometheus; macOS: brew install prometheus',
};

const ALERTMANAGER = {
  name: 'prometheus-alertmanager',
  variable: 'ALERTMANAGER_BIN',
  path: 'usr/bin/prometheus-alertmanager',
  also: ['usr/bin/amtool'],
  tellVersion: ['--version'],
  version: /^alertmanager, version /,
  size: '11 MB',
  howToGet: 'Debian, Ubuntu: apt-get install prometheus-alertmanager',
};

if (isMain(import.meta.url)) console.log(await bringPrometheus({ cacheDir, log: toStderr }));
