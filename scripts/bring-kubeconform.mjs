import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { crdSchema, kindSchemas } from './lib/kubernetes-schemas.mjs';
import { withLock } from './lib/lock.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { reportWhile, seconds } from './lib/progress.mjs';
import { cacheDir as projectCache } from './lib/root.mjs';
import { mustRun } from './lib/run.mjs';

/** @typedef {import('./lib/progress.mjs').Log} Log */

const KUBECONFORM = { name: 'github.com/yannh/kubeconform/cmd/kubeconform', version: 'v0.8.0' };

/** Kubernetes' sources (18 MB) hold the description of its API, the operator's those of its own kinds. */
const KUBERNETES = { module: 'k8s.io/kubernetes@v1.34.1', file: 'api/openapi-spec/swagger.json' };
const OPERATOR = {
  module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
  files: ['servicemonitors', 'podmonitors', 'prometheusrules'].map(
    (name) => `example/prometheus-operator-crd/monitoring.coreos.com_${name}.yaml`,
  ),
};

const TAKES_MS = 5 * 60_000;

/**
 * Brings kubeconform and the schemas it needs, which it would else fetch from the net one by one: the program is compiled by Go
 * into the cache, and the schemas are made of the API descriptions that two Go modules hold. Go holds all of them against its
 * checksum database. May be called by several processes at once.
 * @param {{ cacheDir: string, log: Log }} options
 * @returns {Promise<{ program: string, schemas: string }>} `schemas`: what its `-schema-location` must be
 * @throws {Error} that says what is missing
 */
export async function bringKubeconform({ cacheDir, log }) {
  const folder = resolve(cacheDir, `kubeconform-${KUBECONFORM.version}-${KUBERNETES.module.split('@')[1]}`);
  const brought = {
    program: join(folder, 'kubeconform'),
    schemas: join(folder, 'schemas', '{{.ResourceKind}}{{.KindSuffix}}.json'),
  };
  if (existsSync(folder)) return brought;
  const made = withLock(resolve(cacheDir, 'kubeconform.lock'), async () => {
    if (!existsSync(folder)) await make(folder, log);
  });
  await reportWhile(log, 'kubeconform', made);
  return brought;
}

/**
 * @param {string} folder
 * @param {Log} log
 */
async function make(folder, log) {
  const building = `${folder}.building-${process.pid}`;
  log(`kubeconform: compiling ${KUBECONFORM.version} with Go, once`);
  const began = performance.now();
  try {
    await mkdir(join(building, 'schemas'), { recursive: true });
    const env = { ...process.env, GOBIN: building, GOWORK: 'off', CGO_ENABLED: '0', GOFLAGS: '' };
    const install = ['install', '-trimpath', `${KUBECONFORM.name}@${KUBECONFORM.version}`];
    await mustRun('go', install, { cwd: building, env, timeoutMs: TAKES_MS });
    await writeSchemas(join(building, 'schemas'));
    await rename(building, folder);
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    throw new Error(
      `kubeconform could not be brought: install Go 1.24 or later and try again. It is needed to test the Kubernetes files, ` +
        `not to run the project.\ntried: ${message}`,
    );
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  log(`kubeconform: ${folder} after ${seconds(began)} s`);
}

/** @param {string} into */
async function writeSchemas(into) {
  const swagger = JSON.parse(await readFile(join(await sources(KUBERNETES.module), KUBERNETES.file), 'utf8'));
  const operator = await sources(OPERATOR.module);
  const crds = await Promise.all(
    OPERATOR.files.map(async (file) => parse(await readFile(join(operator, file), 'utf8'))),
  );
  for (const { file, schema } of [...kindSchemas(swagger), ...crds.flatMap(crdSchema)]) {
    await writeFile(join(into, file), JSON.stringify(schema));
  }
}

/**
 * The folder of a Go module's sources.
 * @param {string} module
 * @returns {Promise<string>}
 */
async function sources(module) {
  const env = { ...process.env, GOWORK: 'off', GOFLAGS: '-modcacherw' };
  const { stdout } = await mustRun('go', ['mod', 'download', '-json', module], { env, timeoutMs: TAKES_MS });
  return JSON.parse(stdout).Dir;
}

if (isMain(import.meta.url)) console.log(await bringKubeconform({ cacheDir: projectCache, log: toStderr }));
