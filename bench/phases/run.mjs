// `npm run bench:check -- --help`. Measures each phase of a decision against a yardstick of the same run, and compares with what was
// recorded.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import { Command } from 'commander';
import { ensureBuilt } from '../../scripts/build.mjs';
import { projectRoot } from '../../scripts/lib/root.mjs';
import { run } from '../../scripts/lib/run.mjs';

const RECORDED = join(projectRoot, 'bench/phases/recorded.json');
const YARDSTICK = 'yardstick';

const options = new Command()
  .name('bench:check')
  .description(
    'how long each phase of a decision takes, as a multiple of reading and writing its body as JSON in the same run',
  )
  .option('--record', 'keep what was measured, to compare with from now on')
  .option('--rounds <n>', 'the middle of so many runs counts', Number, 3)
  .option('--tolerance <factor>', 'a phase has changed when it takes this many times as long, or as short', Number, 1.5)
  .parse()
  .opts();

await ensureBuilt();
const rounds = [];
for (let round = 0; round < options.rounds; round++) rounds.push(await measured());
const names = Object.keys(rounds[0] ?? {});
const ratios = Object.fromEntries(names.map((name) => [name, middle(rounds.map((round) => round[name] ?? 0))]));

if (options.record) {
  await writeFile(RECORDED, `${JSON.stringify(ratios, null, 2)}\n`);
  console.log(`recorded in ${RECORDED}`);
} else {
  compare(JSON.parse(await readFile(RECORDED, 'utf8')));
}

/** How often as long as the yardstick each phase takes. */
async function measured() {
  const file = join(tmpdir(), `openclaw-rating-phases-${process.pid}.json`);
  const vitest = join(projectRoot, 'node_modules/vitest/vitest.mjs');
  const args = [vitest, 'bench', '--run', '--outputJson', file, 'bench/phases'];
  const outcome = await run(process.execPath, args, { cwd: projectRoot });
  if (!outcome.ok) throw new Error(`the phases cannot be measured:\n${outcome.stdout || outcome.problem}`);
  const { files } = JSON.parse(await readFile(file, 'utf8'));
  await rm(file);
  /** @type {{ name: string, min: number }[]} */
  const benchmarks = files[0].groups[0].benchmarks;
  // The best of each: what else the machine does only ever adds to it.
  const yardstick = benchmarks.find(({ name }) => name === YARDSTICK)?.min ?? Number.NaN;
  const phases = benchmarks.filter(({ name }) => name !== YARDSTICK);
  return Object.fromEntries(phases.map(({ min, name }) => [name, Number((min / yardstick).toFixed(2))]));
}

/** @param {number[]} values */
function middle(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** @param {Record<string, number>} recorded */
function compare(recorded) {
  const table = new Table({ head: ['phase', 'recorded', 'now', ''], style: { head: [], border: [] } });
  let changed = 0;
  for (const [name, now] of Object.entries(ratios)) {
    const before = recorded[name];
    const verdict = before === undefined ? 'not recorded' : change(now / before);
    if (verdict) changed += 1;
    table.push([name, before ?? '', now, verdict]);
  }
  console.log(table.toString());
  console.log(
    changed ? `${changed} have changed; if that is meant: npm run bench:check -- --record` : 'nothing has changed',
  );
  process.exitCode = changed ? 1 : 0;
}

/** @param {number} factor */
function change(factor) {
  if (factor > options.tolerance) return `slower: ${factor.toFixed(1)} times as long`;
  return factor < 1 / options.tolerance ? `faster: ${(1 / factor).toFixed(1)} times as fast` : '';
}
