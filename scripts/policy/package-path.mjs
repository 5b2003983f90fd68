const SEGMENT = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Words of the language. */
const KEYWORDS = new Set(
  'as contains data default else every false if import in input not null package some true with'.split(' '),
);
/** `data.config` is set at run time, `data.lib` is the library, `data.system` is OPA's. */
const TAKEN = new Set(['config', 'lib', 'system']);
const RIGHT = 'a package is named like acme/budget: words of letters, digits and _, a word for each folder';

/**
 * @param {string} name `acme/budget` or `acme.budget`
 * @returns {string[]} its segments
 * @throws {Error} that says what would be right
 */
export function packagePath(name) {
  const segments = name.split(/[/.]/);
  const wrong = segments.find((segment) => !SEGMENT.test(segment) || KEYWORDS.has(segment));
  if (wrong !== undefined) {
    const why = KEYWORDS.has(wrong) ? `"${wrong}" is a word of Rego` : `"${wrong}" cannot be a part of it`;
    throw new Error(`"${name}" is no name of a package: ${why}; ${RIGHT}`);
  }
  const [first = ''] = segments;
  if (TAKEN.has(first)) throw new Error(`"${name}": data.${first} is taken; begin with another word`);
  if (/_test$/.test(segments.at(-1) ?? '')) throw new Error(`"${name}": a name that ends in _test is that of tests`);
  return segments;
}
