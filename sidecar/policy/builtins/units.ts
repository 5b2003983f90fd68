import { exact } from './exact.ts';
import type { Builtins } from './types.ts';

/** Decimal and binary prefixes, by how often the factor is taken. */
const STEPS = 'kmgtpe';

/** `units.parse_bytes`: not case-sensitive, whole bytes. "10KB" is 10,000, "10KiB" is 10,240. */
function parseBytes(text: string): ArrayBuffer | undefined {
  const match = /^"?(\d+(?:\.\d+)?)(?:([kmgtpe])(i?)b?)?"?$/.exec(text.toLowerCase());
  if (!match) return undefined;
  const [, amount = '', prefix, binary] = match;
  const factor = prefix ? (binary ? 1024n : 1000n) ** BigInt(STEPS.indexOf(prefix) + 1) : 1n;
  const [whole = '', fraction = ''] = amount.split('.');
  return exact((BigInt(whole + fraction) * factor) / 10n ** BigInt(fraction.length));
}

/** `units.parse`: "m" is a thousandth and "M" a million; otherwise not case-sensitive. */
function parse(text: string): number | undefined {
  const match = /^"?(-?\d+(?:\.\d+)?)(m|[KkMGgTtPpEe]i?|mi)?"?$/.exec(text);
  if (!match) return undefined;
  const [, amount = '', unit = ''] = match;
  if (unit === 'm') return Number(amount) / 1000;
  const base = unit.length === 2 ? 1024 : 1000;
  const value = Number(amount) * (unit ? base ** (STEPS.indexOf(unit.charAt(0).toLowerCase()) + 1) : 1);
  return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? value : undefined;
}

export const unitBuiltins: Builtins = { 'units.parse': parse, 'units.parse_bytes': parseBytes };
