import type { Context } from 'hono';
import { z } from 'zod';
import { readBody } from './read-body.ts';

/** The body as JSON, none being `{}`. What is wrong is told as a sentence. */
export async function jsonBody<Schema extends z.ZodType>(
  c: Context,
  schema: Schema,
): Promise<{ value: z.output<Schema> } | { wrong: string }> {
  const body = await readBody(c.req.raw);
  if ('wrong' in body) return { wrong: body.wrong };
  let json: unknown;
  try {
    json = body.text.trim() === '' ? {} : JSON.parse(body.text);
  } catch {
    return { wrong: 'the body is not JSON' };
  }
  const parsed = schema.safeParse(json);
  return parsed.success ? { value: parsed.data } : { wrong: z.prettifyError(parsed.error).replaceAll('\n', ' ') };
}
