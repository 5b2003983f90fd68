// `npm run --silent sbom > openclaw-rating.cdx.json`: the bill of materials of what the services run on, by package-lock.json, as CycloneDX.
// Asks nobody. npm makes it, of a copy without what only development needs: `npm sbom --omit=dev` (11.19) leaves out whatever a development
// dependency needs as well, zod and yaml among them.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from './lib/root.mjs';
import { mustRun } from './lib/run.mjs';

const OPTIONS = ['--sbom-format=cyclonedx', '--sbom-type=application', '--package-lock-only'];

const read = async (/** @type {string} */ name) => JSON.parse(await readFile(join(projectRoot, name), 'utf8'));
const { devDependencies: _, ...description } = await read('package.json');
const lockfile = await read('package-lock.json');
const { '': root, ...packages } = lockfile.packages;
const runOn = Object.fromEntries(Object.entries(packages).filter(([, { dev }]) => !dev));
const { devDependencies: __, ...itself } = root;

const temp = await mkdtemp(join(tmpdir(), 'openclaw-rating-sbom-'));
try {
  // npm names what the bill is of after the folder.
  const copy = join(temp, description.name);
  await mkdir(copy);
  await writeFile(join(copy, 'package.json'), JSON.stringify(description));
  await writeFile(join(copy, 'package-lock.json'), JSON.stringify({ ...lockfile, packages: { '': itself, ...runOn } }));
  const { stdout } = await mustRun('npm', ['sbom', ...OPTIONS], { cwd: copy });
  process.stdout.write(stdout);
} finally {
  await rm(temp, { recursive: true, force: true });
}
