import { figuresOf, type Results, type SystemResult } from './results.ts';
import type { Verdict } from './targets.ts';

/** Everything is compared with this one. */
const BASE = 'ours';

const HEAD = [
  'system',
  'decisions/s',
  'to ours',
  'p50 ms',
  'p99 ms',
  'CPU µs (server + store)',
  'wrk µs',
  'MiB (server + store)',
];

/** A row for each system, in Markdown. */
export function systemsTable({ failed, leftOut, systems }: Results): string {
  const base = systems.find(({ name }) => name === BASE);
  const rows = systems.map((system) => row(system, base && figuresOf(base).perSecond));
  const lines = [HEAD, ['---', ...HEAD.slice(1).map(() => '--:')], ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  const notes = [
    ...leftOut.map(({ name, why }) => `Left out: ${name}: ${why}`),
    ...failed.map(({ name, why }) => `FAILED: ${name}: ${why}`),
  ];
  return [...lines, ...notes.map((note) => `\n${note}`)].join('\n');
}

function row(system: SystemResult, base: number | undefined): string[] {
  const figures = figuresOf(system);
  const { cpuUs, generatorUs, p50Ms, p99Ms, perSecond, serverMiB, storeMiB } = figures;
  return [
    system.title,
    Math.round(perSecond).toLocaleString('en'),
    base === undefined ? '–' : `${(perSecond / base).toFixed(2)} ×`,
    p50Ms.toFixed(2),
    p99Ms.toFixed(1),
    cpuUs.toFixed(cpuUs < 20 ? 1 : 0),
    generatorUs.toFixed(1),
    `${Math.round(serverMiB)}${storeMiB ? ` + ${Math.round(storeMiB)}` : ''}`,
  ];
}

/** What was to be reached, and what was. */
export function verdictsTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ reached, value, wanted, what }) => [
    what,
    wanted,
    value.toPrecision(3),
    reached ? 'yes' : '**no**',
  ]);
  return [['ratio', 'wanted', 'measured', 'reached'], ['---', '--:', '--:', '---'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}
