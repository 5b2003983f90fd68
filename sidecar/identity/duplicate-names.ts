/** A string, or what begins, ends or divides the members of an object. */
const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/g;

/**
 * Whether an object in a valid JSON text has two members of one name. Parsers differ in which of them counts, so that
 * who made the text and who reads it may see different things.
 */
export function hasDuplicateNames(json: string): boolean {
  // Of each object and list around the place; a list has no names.
  const open: (Set<unknown> | undefined)[] = [];
  let last = '';
  for (const [token] of json.matchAll(TOKENS)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') {
      const name: unknown = JSON.parse(last);
      const names = open.at(-1);
      if (names?.has(name)) return true;
      names?.add(name);
    }
    last = token;
  }
  return false;
}
