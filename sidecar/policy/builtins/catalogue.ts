/** Built-ins outside of WebAssembly that policies can call. docs/policy-builtins.md says what each can do. */

/** Those that the library brings. It prefers its own to ours of the same name. */
const LIBRARY = ['json.is_valid', 'regex.split', 'sprintf', 'yaml.is_valid', 'yaml.marshal', 'yaml.unmarshal'];

const OURS = [
  'base64url.encode_no_pad',
  'crypto.hmac.equal',
  'crypto.hmac.md5',
  'crypto.hmac.sha1',
  'crypto.hmac.sha256',
  'crypto.hmac.sha512',
  'crypto.md5',
  'crypto.sha1',
  'crypto.sha256',
  'hex.decode',
  'hex.encode',
  'indexof_n',
  'net.cidr_is_valid',
  'numbers.range_step',
  'strings.any_prefix_match',
  'strings.any_suffix_match',
  'strings.count',
  'time.add_date',
  'time.clock',
  'time.date',
  'time.diff',
  'time.format',
  'time.parse_duration_ns',
  'time.parse_rfc3339_ns',
  'time.weekday',
  'units.parse',
  'units.parse_bytes',
  'urlquery.decode',
  'urlquery.decode_object',
  'urlquery.encode',
  'urlquery.encode_object',
];

/** Whose value is decided by their arguments. */
export const PURE: ReadonlySet<string> = new Set([...LIBRARY, ...OURS]);

/** Whose value is not. A policy that needs one is only loaded where it is allowed, and not remembered. */
export const IMPURE: ReadonlySet<string> = new Set(['rand.intn', 'time.now_ns', 'uuid.rfc4122']);
