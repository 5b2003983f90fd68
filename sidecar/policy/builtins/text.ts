import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { Builtins } from './types.ts';

const list = (value: unknown): string[] => (Array.isArray(value) ? value : [value]) as string[];

const digest = (algorithm: string) => (text: string) => createHash(algorithm).update(text).digest('hex');

const hmac = (algorithm: string) => (text: string, key: string) =>
  createHmac(algorithm, key).update(text).digest('hex');

const cryptoBuiltins: Builtins = {
  'crypto.md5': digest('md5'),
  'crypto.sha1': digest('sha1'),
  'crypto.sha256': digest('sha256'),
  'crypto.hmac.md5': hmac('md5'),
  'crypto.hmac.sha1': hmac('sha1'),
  'crypto.hmac.sha256': hmac('sha256'),
  'crypto.hmac.sha512': hmac('sha512'),
  'crypto.hmac.equal': (a: string, b: string) =>
    timingSafeEqual(Buffer.from(digest('sha256')(a)), Buffer.from(digest('sha256')(b))),
};

/** What encodeURIComponent leaves alone and Go escapes. */
const encodeQuery = (text: string): string =>
  encodeURIComponent(text)
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');

function decodeQuery(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

function encodeObject(object: Record<string, string | string[]>): string {
  const keys = Object.keys(object).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return keys.flatMap((key) => list(object[key]).map((value) => `${encodeQuery(key)}=${encodeQuery(value)}`)).join('&');
}

function decodeObject(text: string): Map<string, string[]> | undefined {
  const object = new Map<string, string[]>();
  for (const pair of text.split('&').filter(Boolean)) {
    if (pair.includes(';')) return undefined;
    const at = pair.includes('=') ? pair.indexOf('=') : pair.length;
    const [key, value] = [decodeQuery(pair.slice(0, at)), decodeQuery(pair.slice(at + 1))];
    if (key === undefined || value === undefined) return undefined;
    object.set(key, [...(object.get(key) ?? []), value]);
  }
  return object;
}

const encodingBuiltins: Builtins = {
  'hex.encode': (text: string) => Buffer.from(text).toString('hex'),
  'hex.decode': (text: string) =>
    /^([0-9a-f]{2})*$/i.test(text) ? Buffer.from(text, 'hex').toString('utf8') : undefined,
  'base64url.encode_no_pad': (text: string) => Buffer.from(text).toString('base64url'),
  'urlquery.encode': encodeQuery,
  'urlquery.decode': decodeQuery,
  'urlquery.encode_object': encodeObject,
  'urlquery.decode_object': (text: string) => {
    const object = decodeObject(text);
    return object && Object.fromEntries(object);
  },
};

/** In code points, as Rego counts. Matches may overlap. */
function indexesOf(text: string, search: string): number[] | undefined {
  if (search === '') return undefined;
  const [characters, wanted] = [[...text], [...search]];
  return characters.flatMap((_, at) => (wanted.every((one, index) => characters[at + index] === one) ? [at] : []));
}

const count = (text: string, part: string): number =>
  part === '' ? [...text].length + 1 : text.split(part).length - 1;

function range(from: number, to: number, step: number): number[] | undefined {
  if (![from, to, step].every(Number.isSafeInteger) || step <= 0) return undefined;
  const length = Math.floor(Math.abs(to - from) / step) + 1;
  const sign = from <= to ? step : -step;
  return Array.from({ length }, (_, index) => from + index * sign);
}

function isCidr(text: string): boolean {
  const [address = '', bits = '', ...more] = text.split('/');
  const most = isIP(address) === 4 ? 32 : 128;
  return (
    more.length === 0 && isIP(address) !== 0 && !address.includes('%') && /^\d{1,3}$/.test(bits) && Number(bits) <= most
  );
}

export const textBuiltins: Builtins = {
  ...cryptoBuiltins,
  ...encodingBuiltins,
  indexof_n: indexesOf,
  'strings.count': count,
  'strings.any_prefix_match': (texts: unknown, prefixes: unknown) =>
    list(texts).some((text) => list(prefixes).some((prefix) => text.startsWith(prefix))),
  'strings.any_suffix_match': (texts: unknown, suffixes: unknown) =>
    list(texts).some((text) => list(suffixes).some((suffix) => text.endsWith(suffix))),
  'numbers.range_step': range,
  'net.cidr_is_valid': isCidr,
};
