import { describe, expect, test } from 'vitest';
import { authSchema } from '../../schemas/config/auth.ts';
import { Issuer } from '../../test/helpers/issuer.ts';
import { jwksUri, keySource } from './key-source.ts';

const sourceOf = (settings: object) =>
  keySource(authSchema.parse({ authentication: settings }).authentication, '/etc/c');

describe('keys come from', () => {
  test.each<[object, string]>([
    [{ method: 'jwt' }, '/etc/c/jwks.json'],
    [{ method: 'jwt', jwks_file: 'keys/k.json' }, '/etc/c/keys/k.json'],
    [{ method: 'jwt', jwks_file: '/srv/k.json' }, '/srv/k.json'],
    [{ method: 'jwt', issuer: 'https://i.example' }, '/etc/c/jwks.json'],
    [{ method: 'jwt', jwks_url: 'https://u:p@i.example/jwks?key=s#x' }, 'https://i.example/jwks'],
    [{ method: 'oauth', issuer: 'https://i.example' }, 'https://i.example/.well-known/openid-configuration'],
    [{ method: 'oauth', issuer: 'https://i.example/' }, 'https://i.example/.well-known/openid-configuration'],
    [{ method: 'oauth', issuer: 'https://i.example/r/x' }, 'https://i.example/r/x/.well-known/openid-configuration'],
  ])('%j', (settings, name) => {
    expect(sourceOf(settings).name).toBe(name);
  });
});

test('keys that may go on for a minute are read more often than that', () => {
  const { timing } = sourceOf({ method: 'jwt', jwks_url: 'https://i.example', jwks_max_age_minutes: 1 });
  expect(timing).toEqual({ everyMs: 30_000, retryMs: 1_000, cooldownMs: 30_000, maxAgeMs: 60_000 });
  expect(sourceOf({ method: 'oauth', issuer: 'https://i.example' }).timing.everyMs).toBe(600_000);
});

test('a server that does not answer is given up', async () => {
  const issuer = await Issuer.start();
  issuer.answer = () => {};
  const { read } = sourceOf({ method: 'jwt', jwks_url: issuer.jwksUrl });
  await expect(read(new AbortController().signal)).rejects.toThrow('has not answered in whole in time');
  await expect(read(AbortSignal.abort())).rejects.toThrow('the server cannot be asked');
});

describe('a discovery document', () => {
  const ISSUER = 'https://i.example/r';
  const document = (more: object) => JSON.stringify({ issuer: ISSUER, jwks_uri: 'https://k.example/jwks', ...more });
  const uri = (text: string, issuer = ISSUER) => jwksUri(text, issuer, 'it');

  test('says where the keys are', () => {
    expect(uri(document({ more: 1 }))).toBe('https://k.example/jwks');
    expect(uri(document({ issuer: 'http://i.example', jwks_uri: 'http://k.example' }), 'http://i.example')).toBe(
      'http://k.example',
    );
  });

  test.each<[string, string, string]>([
    ['is of another issuer', document({ issuer: 'https://m.example' }), 'is of the issuer "https://m.example"'],
    ['is of an issuer with a slash', document({ issuer: `${ISSUER}/` }), 'is of the issuer'],
    ['is of no issuer', document({ issuer: undefined }), 'no discovery document'],
    ['names no keys', document({ jwks_uri: undefined }), 'no discovery document'],
    ['names a file', document({ jwks_uri: 'file:///etc/passwd' }), 'no discovery document'],
    ['names keys that anyone on the way can change', document({ jwks_uri: 'http://k.example' }), 'must be https://'],
    ['is no JSON', '<html>', 'no discovery document'],
    ['is null', 'null', 'no discovery document'],
  ])('does not serve if it %s', (_, text, why) => {
    expect(() => uri(text)).toThrow(why);
  });
});
