import { readFile } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { beforeAll, describe, expect, test } from 'vitest';
import { bringComposeSchema } from '../helpers/bring.ts';
import { type ComposeFile, readComposeFile } from './compose-file.ts';

const compose = readComposeFile();
const services = Object.entries(compose.services);

describe('against the schema of the Compose specification', () => {
  let problems: (file: unknown) => unknown[];

  beforeAll(async () => {
    const schema = JSON.parse(await readFile(await bringComposeSchema(), 'utf8'));
    const validate = new Ajv2020({ strict: false, allErrors: true }).compile(schema);
    problems = (file) => (validate(file) ? [] : (validate.errors ?? []));
  });

  test('the file is valid', () => {
    expect(problems(compose)).toEqual([]);
  });

  const broken: Record<string, (file: ComposeFile) => unknown> = {
    'an unknown key of a service': ({ services: { redis } }) => Object.assign(redis ?? {}, { comand: 'redis-server' }),
    'an unknown key of the file': (file) => Object.assign(file, { service: {} }),
    'a port that is an object of the wrong shape': ({ services: { sidecar } }) =>
      Object.assign(sidecar ?? {}, { ports: [{ target: [8181] }] }),
    'a dependency without its condition': ({ services: { worker } }) =>
      Object.assign(worker ?? {}, { depends_on: { redis: {} } }),
  };
  test.for(Object.entries(broken))('%s is refused', ([, damage]) => {
    const file = structuredClone(compose);
    damage(file);
    expect(problems(file)).not.toEqual([]);
  });
});

test('has redis, postgres, sidecar and worker, each with a health check and a version, not "latest"', () => {
  expect(Object.keys(compose.services)).toEqual(['redis', 'postgres', 'sidecar', 'worker']);
  for (const [, { image, healthcheck }] of services) {
    expect(image).toMatch(/^[\w-]+:\d+\.\d+(\.\d+)?(-[\w.]+)?$/);
    expect(healthcheck.test.length).toBeGreaterThan(1);
  }
});

test('publishes nothing but on the loopback address', () => {
  const published = services.flatMap(([, { ports = [] }]) => ports);
  expect(published).toEqual(['127.0.0.1:8181:8181', '127.0.0.1:8182:8182']);
});

test('waits for services that exist and are healthy, and mounts volumes that exist', () => {
  for (const [, { depends_on: dependsOn = {}, volumes = [] }] of services) {
    for (const [name, { condition }] of Object.entries(dependsOn)) {
      expect(Object.keys(compose.services)).toContain(name);
      expect(condition).toBe('service_healthy');
    }
    const named = volumes.map((volume) => volume.split(':')[0] ?? '').filter((source) => !source.startsWith('.'));
    expect(Object.keys(compose.volumes)).toEqual(expect.arrayContaining(named));
  }
});

test('refuses to start without the two tokens, and keeps no secret in the file', () => {
  for (const name of ['sidecar', 'worker']) {
    const { OPA_TOKEN, ADMIN_TOKEN } = compose.services[name]?.environment ?? {};
    expect(OPA_TOKEN).toMatch(/^\$\{OPA_TOKEN:\?.+\}$/);
    expect(ADMIN_TOKEN).toMatch(/^\$\{ADMIN_TOKEN:\?.+\}$/);
  }
});
