import { createPrivateKey, createSecretKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SignJWT } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { unpackBundle } from '../../sidecar/policy/bundle.ts';
import { readPublicKeys } from '../../sidecar/policy/signature.ts';
import { BRING_TIMEOUT_MS, bringOpa } from '../helpers/bring.ts';
import {
  buildBundle,
  changed,
  type KeyFiles,
  newKeys,
  shippedBundle,
  signed,
  unpackFiles,
} from '../helpers/bundles.ts';

/** Bundles that a real opa has signed, checked by the sidecar. */
let keys: KeyFiles;
let bundle: Buffer;

const DATA =
  '{"z": 1.0, "a": {"é\\u2028<&>": [12345678901234567890, 1e5, -0.10, "\\ud83d\\ude00\\u0000\\b", null, true]}}';
const REGO = 'package probe\n\n# METADATA\n# entrypoint: true\nallow := input.n > data.z\n';

beforeAll(async () => {
  await bringOpa();
  keys = await newKeys();
  bundle = await signed(await shippedBundle('r1'), keys);
}, BRING_TIMEOUT_MS);

const open = async (bytes: Buffer, with_: KeyFiles = keys) =>
  unpackBundle(bytes, 'b.tar.gz', await readPublicKeys(with_.public));

const problem = (bytes: Buffer, with_?: KeyFiles) =>
  open(bytes, with_).then(
    () => 'accepted',
    (error: Error & { problem?: string }) => `${error.problem}: ${error.message}`,
  );

test('`opa sign` is accepted', async () => {
  expect((await open(bundle)).revision).toBe('r1');
});

test('`opa build --signing-key` is accepted, with data that JavaScript would round', async () => {
  const built = await buildBundle({ 'probe.rego': REGO, 'data.json': DATA }, ['--signing-key', keys.private]);
  expect((await open(built)).data).toHaveProperty('z', 1);
});

test('`opa sign` of data as it was written is accepted', async () => {
  const built = await buildBundle({ 'probe.rego': REGO, 'data.json': DATA }, []);
  const raw = await changed(built, { '/data.json': undefined, 'data.json': DATA });
  expect(await problem(await signed(raw, keys))).toBe('accepted');
  expect(await problem(await changed(await signed(raw, keys), { 'data.json': DATA.replace('1.0', '1') }))).toMatch(
    /^signature: .*data\.json is not what was signed/,
  );
});

test('ES256 is accepted, and a file of several keys', async () => {
  const other = await newKeys('ec');
  const ec = await signed(await shippedBundle('r2'), other, 'ES256');
  expect(await problem(ec, other)).toBe('accepted');
  expect(await problem(ec)).toMatch(/not made with a known key/);
  const both = await Promise.all([other, keys].map(({ public: file }) => readFile(file, 'utf8')));
  const { writeFile } = await import('node:fs/promises');
  await writeFile(other.public, both.join('\n'));
  expect(await problem(bundle, other)).toBe('accepted');
});

describe('refused is', () => {
  test('what is not signed', async () => {
    expect(await problem(await shippedBundle('r1'))).toMatch(/^signature: b\.tar\.gz: it is not signed/);
  });

  test("another's signature", async () => {
    expect(await problem(bundle, await newKeys())).toMatch(/^signature: .*not made with a known key/);
  });

  test.each([
    ['a changed policy', { 'policy.wasm': 'other' }, /policy\.wasm is not what was signed/],
    ['a changed manifest', { '.manifest': '{"revision":"r9"}' }, /\.manifest is not what was signed/],
    ['changed data', { 'data.json': '{"roles":{}}' }, /data\.json is not what was signed/],
    ['a file more', { 'more/data.json': '{}' }, /more\/data\.json is not covered/],
    ['a file less', { 'data.json': undefined }, /data\.json is in its signature, but not in it/],
    ['no token', { '.signatures.json': '{"signatures":[]}' }, /signature/],
    ['a file that is no JSON', { '.signatures.json': '{' }, /JSON/],
    ['a token that is none', { '.signatures.json': '{"signatures":["a.b.c"]}' }, /not made with a known key/],
  ])('%s', async (_, change, message) => {
    const said = await problem(await changed(bundle, change));
    expect(said).toMatch(/^signature: /);
    expect(said).toMatch(message);
  });

  test('a token made with the public key as a secret, or with no algorithm, or for a scope', async () => {
    const { signatures } = JSON.parse(String((await unpackFiles(bundle)).get('.signatures.json')));
    const payload = JSON.parse(Buffer.from(signatures[0].split('.')[1], 'base64url').toString());
    const asSecret = createSecretKey(await readFile(keys.public));
    const hs256 = await new SignJWT(payload).setProtectedHeader({ alg: 'HS256' }).sign(asSecret);
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${signatures[0].split('.')[1]}.`;
    for (const token of [hs256, none]) {
      const forged = await changed(bundle, { '.signatures.json': JSON.stringify({ signatures: [token] }) });
      expect(await problem(forged)).toMatch(/not made with a known key/);
    }
    const key = createPrivateKey(await readFile(keys.private));
    const scoped = await new SignJWT({ ...payload, scope: 'write' }).setProtectedHeader({ alg: 'RS256' }).sign(key);
    const other = await changed(bundle, { '.signatures.json': JSON.stringify({ signatures: [scoped] }) });
    expect(await problem(other)).toMatch(/scope/);
  });
});

test('a private key has no place in the file of public ones', async () => {
  await expect(readPublicKeys(keys.private)).rejects.toThrow();
});
