import { expect, test } from 'vitest';
import { MAX_BUNDLE_BYTES } from '../../sidecar/policy/archive.ts';
import { type DownloadOptions, download } from '../../sidecar/policy/download.ts';
import { type Nginx, type NginxOptions, startNginx } from '../helpers/nginx.ts';

/** One request to a real nginx: whatever the server does, it ends, and says how. */
const never = new AbortController().signal;
const BYTES = Buffer.alloc(100_000, 'bundle');

let nginx: Nginx;

async function serve(bytes: Buffer, options?: NginxOptions): Promise<DownloadOptions> {
  nginx = await startNginx(options);
  await nginx.put('b', bytes);
  return { url: `${nginx.url}/b?sig=secret`, name: `${nginx.url}/b`, token: options?.token, timeoutMs: 5_000 };
}

const problem = (options: DownloadOptions, signal = never) =>
  download(options, undefined, signal).then(
    () => 'accepted',
    (error: Error & { problem?: string }) => `${error.problem}: ${error.message}`,
  );

test('what is there, and that it has not changed', async () => {
  const options = await serve(BYTES, { token: 't' });
  const first = await download(options, undefined, never);
  expect(first).toMatchObject({ changed: true, etag: expect.stringMatching(/^"/) });
  expect(first.changed && first.bytes.equals(BYTES)).toBe(true);
  const etag = first.changed ? first.etag : undefined;
  expect(await download(options, etag, never)).toEqual({ changed: false });
  await nginx.put('b', Buffer.from('other'));
  expect(await download(options, etag, never)).toMatchObject({ changed: true, bytes: Buffer.from('other') });
  expect(await problem({ ...options, token: 'wrong' })).toBe(`http_status: ${options.name}: the server answers 401`);
  expect(await problem({ ...options, url: `${nginx.url}/none` })).toMatch(/answers 404$/);
});

test('a server that says nothing is given up', async () => {
  const options = await serve(BYTES);
  await nginx.freeze();
  expect(await problem({ ...options, timeoutMs: 300 })).toMatch(
    /^unreachable: .* has not answered in whole after 300 ms$/,
  );
  await nginx.thaw();
  expect(await problem(options)).toBe('accepted');
});

test('a server that trickles is given up', async () => {
  const options = await serve(BYTES, { rate: 1_000 });
  expect(await problem({ ...options, timeoutMs: 500 })).toMatch(/^unreachable: .* after 500 ms$/);
});

test('a server that is not there', async () => {
  const options = await serve(BYTES);
  await nginx.stop();
  expect(await problem(options)).toMatch(/^unreachable: .*ECONNREFUSED/);
});

test('no more is read than a bundle may have', async () => {
  const options = await serve(Buffer.alloc(MAX_BUNDLE_BYTES + 1));
  expect(await problem({ ...options, timeoutMs: 30_000 })).toMatch(/^too_large: .* larger than 67108864 bytes/);
});

test('a process that ends does not wait for it', async () => {
  const options = await serve(BYTES);
  await nginx.freeze();
  const ended = new AbortController();
  const waiting = problem({ ...options, timeoutMs: 60_000 }, ended.signal);
  ended.abort();
  expect(await waiting).toMatch(/^unreachable: /);
  await nginx.thaw();
});
