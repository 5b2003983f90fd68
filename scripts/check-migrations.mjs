// Proves that `schemas/migrations` makes the tables that `schemas/tables.ts` describes: generated into a copy, nothing
// new may come of it. Also that each migration is later than the one before, for one that is not would be skipped.
// Takes a project's folder, by default this one.

import { cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { run } from './lib/run.mjs';

const project = resolve(process.argv[2] ?? join(import.meta.dirname, '..'));
const migrations = join(project, 'schemas', 'migrations');

const problem = (await outOfOrder()) ?? (await outOfDate());
if (problem) {
  console.error(problem);
  process.exit(1);
}
console.log('the migrations make the tables of schemas/tables.ts');

async function outOfOrder() {
  const { entries } = JSON.parse(await readFile(join(migrations, 'meta', '_journal.json'), 'utf8'));
  const late = entries.find((entry, index) => index > 0 && entry.when <= entries[index - 1].when);
  return (
    late &&
    `migration ${late.tag} is not later than the one before it, so databases that have that one would skip it\n` +
      `  mend: raise its "when" in schemas/migrations/meta/_journal.json`
  );
}

async function outOfDate() {
  await mkdir(join(project, '.cache'), { recursive: true });
  const copy = await mkdtemp(join(project, '.cache', 'migrations-'));
  try {
    await cp(migrations, copy, { recursive: true });
    // drizzle-kit takes the folder as relative to where it runs, also when it begins with a slash.
    const options = ['--dialect', 'postgresql', '--schema', './schemas/tables.ts', '--out', relative(project, copy)];
    const kit = join(project, 'node_modules', 'drizzle-kit', 'bin.cjs');
    const outcome = await run(process.execPath, [kit, 'generate', ...options], { cwd: project });
    const [before, after] = await Promise.all([migrations, copy].map(sqlFiles));
    const added = after.filter((name) => !before.includes(name));
    if (outcome.ok && added.length === 0 && /No schema changes/.test(outcome.stdout)) return undefined;
    const change = await Promise.all(added.map((name) => readFile(join(copy, name), 'utf8')));
    return (
      `schemas/tables.ts and schemas/migrations do not agree:\n${change.join('\n') || outcome.problem || outcome.stdout}\n` +
      '  mend: npm run migrations -- --name <what changes>'
    );
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function sqlFiles(folder) {
  return (await readdir(folder)).filter((name) => name.endsWith('.sql'));
}
