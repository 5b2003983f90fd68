/**
 * The text that OPA hashes for a JSON file: keys sorted by their bytes, no white space, strings as Go writes them,
 * numbers as they were written (`1.0` is not `1`, and none is rounded). Throws on what is not JSON.
 */
export function structuredText(json: string): string {
  JSON.parse(json);
  // A mark before every string and number keeps the two apart, and JSON.parse from reading the numbers.
  const marked = json.replace(/"((?:\\.|[^"\\])*)"|-?\d[\d.eE+-]*/g, (token, text?: string) =>
    text === undefined ? `"#${token}"` : `"$${text}"`,
  );
  return write(JSON.parse(marked));
}

function write(value: unknown): string {
  if (typeof value === 'string') return value.startsWith('#') ? value.slice(1) : goString(value.slice(1));
  if (value === null || typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
  const members = Object.entries(value).map(([key, member]) => ({ key: key.slice(1).toWellFormed(), member }));
  members.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  return `{${members.map(({ key, member }) => `${goString(key)}:${write(member)}`).join(',')}}`;
}

/** Go escapes two characters that JSON.stringify does not. */
const goString = (text: string) =>
  JSON.stringify(text.toWellFormed()).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
