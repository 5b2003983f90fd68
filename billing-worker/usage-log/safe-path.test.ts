import { expect, test } from 'vitest';
import { safePath } from './safe-path.ts';

test.each([
  ['/v1/chat/completions', '/v1/chat/completions'],
  ['/v1/chat?api_key=sk-123456789', '/v1/chat'],
  ['/v1/chat#access_token=x', '/v1/chat'],
  ['/v1/chat?a=1#b?c', '/v1/chat'],
  ['?token=x', ''],
  ['http://user:password@example.com/v1/chat?x', '/v1/chat'],
  ['/a%3Fb', '/a%3Fb'],
  ['*', '*'],
])('%s is kept as %s: host, query and fragment are not', (target, kept) => {
  expect(safePath(target)).toBe(kept);
});

test.each([
  'k0_Ab12Cd34Ef56Gh78Ij90Kl12Mn34',
  'ak_alice_1234',
  'sk-ant-api03-Ab12-Cd34-Ef56',
  'xoxb-123456789012-abcdef',
  'ghp_abcdefghijkl',
  'bot123456789:AAF-abcDEF1234ghIkl-zyx57W2v1u123ew11',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x4S3yH1uJbV8p2Qd',
  '0123456789abcdef0123456789abcdef',
  'Bearer%20abcdefgh1',
  '%73k-ant-api03-Ab12-Cd34',
  'model:sk-abcdefghij',
])('the segment %s looks like a secret, and is not kept', (secret) => {
  expect(safePath(`/v1/${secret}/send`)).toBe('/v1/*/send');
});

test.each([
  'anthropic.claude-3-5-sonnet-20241022-v2:0',
  'claude-sonnet-4-5-20250301',
  '0192f0c1-0000-7000-8000-000000000001',
  'chat-completions-of-a-team-with-a-long-name',
  'conversations_and_messages',
  'key',
  'keys',
  '100%',
])('the segment %s is kept: it is a name, an id or a word', (name) => {
  expect(safePath(`/v1/${name}/send`)).toBe(`/v1/${name}/send`);
});

test('a path is cut', () => {
  expect(safePath(`/${'a/'.repeat(10_000)}`)).toHaveLength(512);
});
