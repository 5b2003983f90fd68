/** Longer paths are cut: a path is for people to look at, and nothing is computed from it. */
const MAX_LENGTH = 512;

/** What stands before the path in a request for `http://user:password@host/path`. */
const AUTHORITY = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i;

/** Prefixes by which issuers mark their keys: `sk-…`, `ak_…`, `xoxb-…`, `ghp_…`; `k0_…` is one of ours. */
const PREFIXED = /(^|[^a-z0-9])(sk|pk|rk|ak|k\d{1,2}|key|gh[oprsu]|glpat|xox[a-z]|bearer|basic)[-_ ][\w.~+/=-]{8}/i;
/** A run as long as this with both letters and digits is no word, nor a part of a UUID or of a model's name. */
const LONG_RUN = /(?=\w*\d)(?=\w*[a-z])\w{16}/i;

const HIDDEN = '*';

/**
 * A request's path as it may be kept: without host, query and fragment, where secrets hide, and with `*` for each segment
 * that looks like a secret. At most 512 characters.
 */
export function safePath(target: string): string {
  const [path = ''] = target.replace(AUTHORITY, '').split(/[?#]/, 1);
  const kept = path.split('/').map((segment) => (looksSecret(segment) ? HIDDEN : segment));
  return kept.join('/').slice(0, MAX_LENGTH);
}

const looksSecret = (segment: string) => {
  const plain = decoded(segment);
  return PREFIXED.test(plain) || LONG_RUN.test(plain);
};

/** As the gateway's upstream reads it: a secret is one also in percent-encoding. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
