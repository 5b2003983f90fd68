import { describe, expect, test } from 'vitest';
import { InputError } from '../policy/canonical.ts';
import { MissingTenant, readRequest } from './request.ts';

const PKG = 'openclaw/rate_limit';

test('the policy sees neither ids that differ from call to call, nor what only the sidecar may say', () => {
  const { input } = readRequest(
    PKG,
    { tenant_id: 'a', request_id: 'r', run_id: 'x', identity: 1, outcome: 2, kept: 3 },
    undefined,
  );
  expect(JSON.parse(input)).toEqual({ tenant_id: 'a', kept: 3 });
});

test('the fingerprint is that of the input without the id', () => {
  const one = readRequest(PKG, { tenant_id: 'a', model: 'm', request_id: '1' }, undefined);
  const same = readRequest(PKG, { request_id: '2', model: 'm', tenant_id: 'a' }, undefined);
  const other = readRequest(PKG, { tenant_id: 'a', model: 'n', request_id: '1' }, undefined);
  expect(same.fingerprint).toBe(one.fingerprint);
  expect(other.fingerprint).not.toBe(one.fingerprint);
});

test('the id may come as a header; the one in the body comes first', () => {
  expect(readRequest(PKG, { tenant_id: 'a' }, 'header').requestId).toBe('header');
  expect(readRequest(PKG, { tenant_id: 'a', request_id: 'body' }, 'header').requestId).toBe('body');
  expect(() => readRequest(PKG, { tenant_id: 'a' }, 'x'.repeat(257))).toThrow(InputError);
});

test('only known names are stored', () => {
  const { subject } = readRequest(PKG, { tenant_id: 'a', user_id: 'u', prompt: 'secret' }, undefined);
  expect(subject).toEqual({ tenant_id: 'a', user_id: 'u' });
});

describe('refuses', () => {
  test.each([[null], [7], ['acme'], [['acme']]])('input that is not an object: %j', (input) => {
    expect(() => readRequest(PKG, input, undefined)).toThrow(InputError);
  });

  test.each([[{}], [{ tenant_id: '' }], [{ tenant_id: null }]])('a request without a tenant: %j', (input) => {
    expect(() => readRequest(PKG, input, undefined)).toThrow(MissingTenant);
  });

  test.each([
    [{ tenant_id: 7 }],
    [{ tenant_id: { toString: 'x' } }],
    [{ tenant_id: 'a'.repeat(257) }],
    [{ tenant_id: 'a\u0000b' }],
    [{ tenant_id: '\ud800' }],
    [{ tenant_id: 'a', user_id: ['u'] }],
    [{ tenant_id: 'a', request_id: 5 }],
  ])('names that are not text of a sensible length: %j', (input) => {
    expect(() => readRequest(PKG, input, undefined)).toThrow(InputError);
  });
});
