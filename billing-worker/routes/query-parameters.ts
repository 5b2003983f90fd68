import type { z } from 'zod';

/**
 * Reads the parameters of a URL, each of which may be given once. What is wrong is told as a sentence that says what
 * would be right; `right` has its end for each parameter there is.
 */
export function readQueryParameters<Schema extends z.ZodType>(
  parameters: URLSearchParams,
  schema: Schema,
  right: Record<keyof z.input<Schema> & string, string>,
): z.output<Schema> | { wrong: string } {
  for (const name of parameters.keys()) {
    const times = parameters.getAll(name).length;
    if (!Object.hasOwn(right, name)) {
      return { wrong: `${JSON.stringify(name)} is no parameter; known: ${Object.keys(right).join(', ')}` };
    }
    if (times > 1) return { wrong: `"${name}" is given ${times} times; give it once` };
  }
  const parsed = schema.safeParse(Object.fromEntries(parameters));
  if (parsed.success) return parsed.data;
  const name = String(parsed.error.issues[0]?.path[0]) as keyof typeof right;
  return { wrong: `"${name}" ${right[name]}` };
}
