import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { environmentSchema } from '../../runtime/config/environment.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS, bringKubeconform } from '../helpers/bring.ts';
import { lastStage } from './image.ts';

const folder = join(packageRoot, 'deploy/kubernetes');
const exec = promisify(execFile);

interface Container {
  name: string;
  image: string;
  args?: string[];
  env: { name: string; value?: string }[];
  ports?: { name: string; containerPort: number }[];
  securityContext?: { readOnlyRootFilesystem?: boolean; allowPrivilegeEscalation?: boolean; capabilities?: object };
  volumeMounts?: { name: string; mountPath: string }[];
  startupProbe?: Probe;
  livenessProbe?: Probe;
  readinessProbe?: Probe;
}

interface Probe {
  httpGet: { path: string; port: string };
}

interface Resource {
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: resources of any kind
  spec: any;
}

let resources: Resource[];
let check: (text: string) => Promise<string>;

beforeAll(async () => {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.yaml'));
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  resources = texts.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS()));
  const { program, schemas } = await bringKubeconform();
  check = async (text) => {
    const running = exec(program, ['-strict', '-schema-location', schemas]);
    running.child.stdin?.end(text);
    return running.then(
      ({ stdout }) => stdout,
      ({ stdout }) => stdout,
    );
  };
}, BRING_TIMEOUT_MS);

const ofKind = (kind: string) => resources.filter((resource) => resource.kind === kind);
const podsOf = () =>
  ofKind('Deployment').map(({ metadata, spec }) => ({
    name: metadata.name,
    pod: spec.template.spec,
    labels: spec.template.metadata.labels,
  }));
const ours = (): Container[] =>
  podsOf()
    .flatMap(({ pod }) => [...(pod.initContainers ?? []), ...pod.containers] as Container[])
    .filter(({ name }) => name !== 'openclaw');

describe('against the schemas of Kubernetes and of the Prometheus operator', () => {
  test('all of it is valid', async () => {
    expect(resources.map(({ kind }) => kind).toSorted()).toEqual([
      ...Array(3).fill('Deployment'),
      ...Array(2).fill('NetworkPolicy'),
      ...Array(2).fill('PodDisruptionBudget'),
      'PodMonitor',
      ...Array(2).fill('Service'),
      ...Array(2).fill('ServiceAccount'),
      'ServiceMonitor',
    ]);
    for (const resource of resources) expect(await check(JSON.stringify(resource))).toBe('');
  });

  test.for([
    ['Deployment', { spec: { replicas: 'three' } }],
    ['Deployment', { spec: { template: { spec: { containers: [{ image: 'x' }] } } } }],
    [
      'Deployment',
      { spec: { template: { spec: { containers: [{ name: 'x', securityContext: { readOnlyRootFs: true } }] } } } },
    ],
    ['Service', { spec: { ports: [{ port: 'http' }] } }],
    ['PodDisruptionBudget', { spec: { minAvailabel: 1 } }],
    ['NetworkPolicy', { spec: { podSelector: {}, ingress: [{ from: { podSelector: {} } }] } }],
    ['ServiceMonitor', { spec: { selector: {}, endpoints: [{ intervall: '15s' }] } }],
    ['ServiceMonitor', { spec: { endpoints: [{ port: 'http' }] } }],
    ['PodMonitor', { spec: { selector: {}, podMetricsEndpoints: [{ port: 8181 }] } }],
  ] as const)('%s: %j is not', async ([kind, damage]) => {
    const [resource] = ofKind(kind);
    expect(await check(JSON.stringify({ ...resource, ...damage }))).toContain('is invalid');
  });
});

test('each variable is one there is, and each program is in the image', async () => {
  const known = Object.keys(environmentSchema.shape);
  for (const { args = [], env } of ours()) {
    expect(known).toEqual(expect.arrayContaining(env.map(({ name }) => name)));
    const [node, script = ''] = args;
    expect([node, script]).toEqual(['node', expect.stringMatching(/^dist\/(sidecar|billing-worker)\/main\.js$/)]);
    await readFile(join(packageRoot, script));
  }
  expect((await lastStage()).find((line) => line.startsWith('COPY --from=build /app/dist'))).toBeDefined();
});

test('runs as nobody, on a read-only root, and writes where the image says and nowhere else', async () => {
  const volume = (await lastStage()).find((line) => line.startsWith('VOLUME '))?.split(' ')[1];
  for (const { pod } of podsOf()) {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(pod.automountServiceAccountToken).toBe(false);
  }
  for (const { securityContext, volumeMounts = [] } of ours()) {
    expect(securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(volumeMounts.map(({ mountPath }) => mountPath)).toEqual(['/config', volume, '/tmp']);
  }
});

test('probes, services, budgets and policies mean ports and pods that are there', () => {
  const ports = new Map(
    ours().flatMap(({ name, ports = [] }) => ports.map((port) => [`${name} ${port.name}`, port.containerPort])),
  );
  expect([...ports]).toEqual([
    ['billing-worker http', 8182],
    ['sidecar sidecar', 8181],
    ['sidecar http', 8181],
  ]);
  for (const { livenessProbe, name, readinessProbe, startupProbe } of ours()) {
    for (const probe of [startupProbe, livenessProbe, ...(readinessProbe ? [readinessProbe] : [])]) {
      expect(ports.has(`${name} ${probe?.httpGet.port}`)).toBe(true);
      expect(probe?.httpGet.path).toMatch(/^\/health(\/live)?$/);
    }
  }
  const labels = podsOf().map((pod) => pod.labels);
  const selectors = [
    ...ofKind('Service').map(({ spec }) => spec.selector),
    ...ofKind('PodDisruptionBudget').map(({ spec }) => spec.selector.matchLabels),
    ...ofKind('NetworkPolicy').map(({ spec }) => spec.podSelector.matchLabels),
    ...ofKind('PodMonitor').map(({ spec }) => spec.selector.matchLabels),
  ];
  for (const selector of selectors) expect(labels).toContainEqual(expect.objectContaining(selector));
  const [monitor] = ofKind('ServiceMonitor');
  for (const { metadata } of ofKind('Service'))
    expect(metadata.labels).toMatchObject(monitor?.spec.selector.matchLabels);
});

test('the jobs have the names that rules and dashboard ask for', async () => {
  const [monitor] = ofKind('ServiceMonitor');
  const jobs = ofKind('Service').map(({ metadata }) => metadata.labels?.[monitor?.spec.jobLabel]);
  expect(jobs.toSorted()).toEqual(['openclaw-billing-worker', 'openclaw-sidecar']);
  const alerts = await readFile(join(packageRoot, 'deploy/prometheus/alerts.yml'), 'utf8');
  expect(alerts).toContain('job=~"openclaw-(sidecar|billing-worker)"');
});
