import type { Context } from 'hono';
import { z } from 'zod';
import { readText } from '../routes/body.ts';
import { parseAny } from '../routes/json.ts';
import { wrongBody } from '../routes/wrong-body.ts';

const MAX_BODY_BYTES = 16_384;

/** The body of an admin's request, none being `{}`. Throws a `Refusal` that names each member that is wrong. */
export async function readBody<Schema extends z.ZodType>(c: Context, schema: Schema): Promise<z.infer<Schema>> {
  const text = await readText(c, { maxBytes: MAX_BODY_BYTES, status: 413 });
  const parsed = schema.safeParse(text.trim() === '' ? {} : parseAny(text, 'body'));
  if (parsed.success) return parsed.data;
  throw wrongBody(parsed.error);
}

/** What a usage event can hold. */
export const eventText = (most: number, error: string) =>
  z
    .string({ error })
    .min(1, { error })
    .refine((value) => Buffer.byteLength(value) <= most, { error: `must not be longer than ${most} bytes` })
    .refine((value) => value.isWellFormed() && !value.includes('\u0000'), {
      error: 'must be valid Unicode, without NUL',
    });
