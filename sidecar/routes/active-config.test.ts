import { expect, test } from 'vitest';
import { environmentSchema, readEnvironment } from '../../runtime/config/environment.ts';
import { activeConfig } from './active-config.ts';

const LABELS = { id: 'x', version: '1' };

test('shows where things are, without users, passwords and queries', () => {
  const environment = readEnvironment({
    REDIS_URL: 'rediss://user-secret:password-secret@redis.example:6380/2?token=query-secret',
    POLICY_BUNDLE: 'https://bundles.example/b.tar.gz?sig=query-secret',
    OPA_TOKEN: 'opa-secret',
    ADMIN_TOKEN: 'admin-secret',
    DATABASE_URL: 'postgres://u:db-secret@db/x',
  });
  const config = activeConfig(environment, LABELS);
  expect(config).toMatchObject({
    sidecar: {
      REDIS_URL: 'rediss://redis.example:6380/2',
      POLICY_BUNDLE: 'https://bundles.example/b.tar.gz',
      PORT: 8181,
    },
  });
  expect(JSON.stringify(config)).not.toContain('secret');
});

test('paths are shown as they are', () => {
  expect(activeConfig(readEnvironment({}), LABELS)).toMatchObject({
    sidecar: { POLICY_BUNDLE: 'policies/dist/bundle.tar.gz', ON_STORE_FAILURE: 'deny' },
  });
});

test('no variable whose name says that it is a secret is shown, whatever its value', () => {
  const names = Object.keys(environmentSchema.shape).filter((name) => /TOKEN|KEY|SECRET|PASSWORD/.test(name));
  expect(names).toContain('OPA_TOKEN');
  const everything = Object.fromEntries(names.map((name) => [name, 'hidden']));
  expect(JSON.stringify(activeConfig({ ...readEnvironment({}), ...everything }, LABELS))).not.toContain('hidden');
});
