import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import manifest from './openclaw.plugin.json' with { type: 'json' };
import { readSettings } from './settings.ts';

const ENDPOINT = 'https://sidecar.example/v1/data/openclaw/rate_limit/allow';
const PRINTED = { type: 'opa', endpoint: ENDPOINT, auth: { bearer: '$OPA_TOKEN' } };

describe('the printed block', () => {
  test('is enough, with defaults for the rest', () => {
    const settings = readSettings(PRINTED, { OPA_TOKEN: 'secret' });
    expect(settings).toEqual({
      endpoint: new URL(ENDPOINT),
      usageEndpoint: new URL('https://sidecar.example/v1/usage'),
      bearer: 'secret',
      timeoutMs: 3_000,
      onFailure: 'deny',
      tenant: '{agent}',
      user: undefined,
      users: new Map(),
      footer: true,
      denyStyle: 'reply',
    });
  });

  // biome-ignore lint/suspicious/noTemplateCurlyInString: the plugin reads it from the environment
  test.each(['$OPA_TOKEN', '${OPA_TOKEN}'])('%s is read from the environment', (bearer) => {
    expect(readSettings({ ...PRINTED, auth: { bearer } }, { OPA_TOKEN: 'a$b' })).toMatchObject({ bearer: 'a$b' });
  });

  test('passes the schema of the manifest, as does all that may be added', () => {
    const isValid = new Ajv({ strict: true, allowUnionTypes: true }).compile(manifest.configSchema);
    const all = {
      ...PRINTED,
      usage_endpoint: 'https://sidecar.example/v1/usage',
      timeout_ms: 1_000,
      on_failure: 'allow',
      tenant: 'acme',
      identity: {
        user: '{channel}-{sender}',
        users: { 'telegram:1': 'ann', webchat: { user: 'web', tenant: 'acme' } },
      },
      footer: false,
      deny_style: 'block',
    };
    expect(isValid(PRINTED) && isValid(all)).toBe(true);
    expect(isValid({ ...PRINTED, on_failure: 'ask' })).toBe(false);
    expect(isValid({ ...PRINTED, endpoints: ENDPOINT })).toBe(false);
  });
});

describe('what cannot be used is said, and keeps its on_failure', () => {
  test.each([
    [{ ...PRINTED, on_failure: 'allow' }, 'the environment has no OPA_TOKEN', 'allow'],
    [{ type: 'opa' }, 'endpoint is missing', 'deny'],
    [
      { type: 'opa', endpoint: 'sidecar:8181' },
      'endpoint must be an http or https address, not "sidecar:8181"',
      'deny',
    ],
    [undefined, 'endpoint is missing', 'deny'],
  ])('%j', (config, problem, onFailure) => {
    expect(readSettings(config, {})).toEqual({ problem, onFailure, denyStyle: 'reply' });
  });
});
