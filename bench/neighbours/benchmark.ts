import { join } from 'node:path';
import { capacityTable, partsOf } from './capacity.ts';
import { compare, type Options } from './compare.ts';
import { keepResults } from './results.ts';
import { systemsTable, verdictsTable } from './table.ts';
import { verdicts } from './targets.ts';
import type { Tools } from './tools.ts';

/** Runs it, prints the tables, keeps the numbers unless `dry`. Gives whether all answers were right and all ratios as wanted. */
export async function benchmark(
  options: Options & { dry?: boolean },
  tools: Tools,
  log: (line: string) => void,
): Promise<boolean> {
  const results = await compare(options, tools, log);
  const reached = verdicts(results);
  console.log(systemsTable(results));
  console.log(`\n${verdictsTable(reached)}`);
  const parts = partsOf(results);
  if (parts) console.log(`\n${capacityTable(parts)}`);
  if (!options.dry) log(`kept in ${await keepResults(join(tools.root, 'bench', 'results'), results)}`);
  return results.failed.length === 0 && reached.every((verdict) => verdict.reached);
}
