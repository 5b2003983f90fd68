/**
 * What can be a number that a 64-bit float cannot hold: fifteen significant digits always fit, so it has at least sixteen,
 * a point among them or not, or an exponent. Ordinary bodies hold no such run, and are looked through once, quickly.
 */
const SUSPECT = /\d[\d.]{15}|\d[eE][+-]?\d/;

/** A string, which is passed over whole, or a number. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;

const MAX_SHOWN = 40;

/**
 * The first number of a valid JSON text that JavaScript would alter; undefined if there is none. `1.0` and `1e2` are not
 * altered: they are other ways to write 1 and 100.
 */
export function inexactNumber(json: string): string | undefined {
  if (!SUSPECT.test(json)) return undefined;
  for (const [token] of json.matchAll(TOKEN)) {
    if (token.startsWith('"') || isExact(token)) continue;
    return token.length > MAX_SHOWN ? `${token.slice(0, MAX_SHOWN)}…` : token;
  }
  return undefined;
}

function isExact(token: string): boolean {
  const value = Number(token);
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return false;
  const [ours, theirs] = [decimal(String(value)), decimal(token)];
  return ours.digits === theirs.digits && ours.exponent === theirs.exponent;
}

/** A number as its significant digits, an integer, times a power of ten. The sign is never lost. */
function decimal(token: string): { digits: string; exponent: number } {
  const [mantissa = '', power = '0'] = token.replace(/^-/, '').toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return { digits: '', exponent: 0 };
  return { digits: significant, exponent: Number(power) - fraction.length + digits.length - significant.length };
}
