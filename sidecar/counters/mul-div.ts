const CHUNK = 32;
const CHUNKS = 11;

/**
 * `floor(a × b / d)` and its remainder, exactly, where the product would not fit into a double.
 * Needs `0 ≤ a`, `0 ≤ b < 2^53`, `0 < d < 2^47` whole, and a quotient below 2^53. Long multiplication, five bits of
 * `b` at a time: every intermediate value stays below 2^53. The same in Lua: `redis/lua/includes/mul-div.lua`.
 */
export function mulDiv(a: number, b: number, d: number): { quotient: number; remainder: number } {
  const product = a * b;
  if (product <= Number.MAX_SAFE_INTEGER) return { quotient: Math.floor(product / d), remainder: product % d };
  const whole = Math.floor(a / d);
  const part = a % d;
  let quotient = 0;
  let remainder = 0;
  for (let chunk = CHUNKS - 1; chunk >= 0; chunk--) {
    const digit = Math.floor(b / CHUNK ** chunk) % CHUNK;
    const sum = remainder * CHUNK + part * digit;
    quotient = quotient * CHUNK + Math.floor(sum / d);
    remainder = sum % d;
  }
  return { quotient: whole * b + quotient, remainder };
}
