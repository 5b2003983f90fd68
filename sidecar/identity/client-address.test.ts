import { expect, test } from 'vitest';
import { authSchema } from '../../schemas/config/auth.ts';
import { clientAddress } from './client-address.ts';

const behind = clientAddress(
  authSchema.parse({ authentication: { trusted_proxy: { addresses: ['127.0.0.1', '10.0.0.0/8', '::1'] } } })
    .authentication,
);
const direct = clientAddress(authSchema.parse({}).authentication);

const shown = (address: string | undefined, ...forwarded: string[]) => ({
  address,
  values: (name: string) => (name === 'X-Forwarded-For' ? forwarded : []),
});

test('it is the other end of the connection, whatever a header says', () => {
  expect(direct(shown('192.0.2.1', '198.51.100.7'))).toBe('192.0.2.1');
  expect(direct(shown('::ffff:192.0.2.1'))).toBe('192.0.2.1');
  expect(direct(shown('fe80::1%eth0'))).toBe('fe80::1');
  expect(direct(shown(undefined))).toBeUndefined();
  expect(behind(shown('192.0.2.1', '198.51.100.7'))).toBe('192.0.2.1');
});

test.for<[string, string[], string]>([
  ['one proxy', ['198.51.100.7'], '198.51.100.7'],
  ['two proxies', ['198.51.100.7, 10.1.1.1'], '198.51.100.7'],
  ['what the client wrote itself', ['203.0.113.9, 198.51.100.7'], '198.51.100.7'],
  ['two headers', ['203.0.113.9', '198.51.100.7'], '198.51.100.7'],
  ['IPv6', ['2001:db8::1'], '2001:db8::1'],
  ['no header', [], '127.0.0.1'],
  ['nothing but proxies', ['10.1.1.1, 10.1.1.2'], '127.0.0.1'],
  ['no address', ['198.51.100.7, unknown'], '127.0.0.1'],
  ['an empty one', ['198.51.100.7, '], '127.0.0.1'],
])('behind a trusted proxy: %s', ([, forwarded, expected]) => {
  expect(behind(shown('127.0.0.1', ...forwarded))).toBe(expected);
});
