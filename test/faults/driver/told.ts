import type { SeedResult } from './seed.ts';

const sum = (results: SeedResult[], of: (result: SeedResult) => number) =>
  results.reduce((total, result) => total + of(result), 0);

/** What came of some seeds, in one line, and which of them found something. */
export function told(results: SeedResult[]): string {
  const failed = results.filter(({ violations }) => violations.length > 0).map(({ seed }) => seed);
  const seconds = sum(results, ({ milliseconds }) => milliseconds) / 1_000;
  return [
    `${results.length} seeds, ${sum(results, ({ operations }) => operations)} operations (${sum(results, ({ granted }) => granted)} granted, ${sum(results, ({ unknown }) => unknown)} without an answer)`,
    `${sum(results, ({ faults }) => faults.length)} faults, ${sum(results, ({ violations }) => violations.length)} violations${failed.length ? ` (seeds ${failed.join(', ')})` : ''}`,
    seconds < 120 ? `${seconds.toFixed(1)} seconds` : `${(seconds / 60).toFixed(1)} minutes`,
  ].join(', ');
}
