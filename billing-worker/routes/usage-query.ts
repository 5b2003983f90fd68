import { z } from 'zod';
import { INSTANT, instantParameter as instant } from './instant-parameter.ts';

/** The parameters of `GET /v1/usage`. */
const schema = z
  .strictObject({
    tenant_id: z
      .string()
      .min(1)
      .refine((text) => !text.includes('\u0000'))
      .optional(),
    /** The first instant that counts. */
    from: instant.optional(),
    /** The first instant that no longer counts. */
    to: instant.optional(),
    group_by: z.enum(['tenant', 'user', 'model', 'day']).default('tenant'),
  })
  .refine(({ from, to }) => !from || !to || Date.parse(from) < Date.parse(to), { path: ['to'] });

export type UsageQuery = z.infer<typeof schema>;
export type GroupBy = UsageQuery['group_by'];

const RIGHT: Record<string, string> = {
  tenant_id: 'must name a tenant, or be left out for all of them',
  from: INSTANT,
  to: `${INSTANT}, later than "from"`,
  group_by: 'must be tenant, user, model or day',
};

/** Reads the parameters. What is wrong is told as a sentence that says what would be right. */
export function parseUsageQuery(parameters: URLSearchParams): UsageQuery | { wrong: string } {
  for (const name of parameters.keys()) {
    const times = parameters.getAll(name).length;
    if (!Object.hasOwn(RIGHT, name)) {
      return { wrong: `${JSON.stringify(name)} is no parameter; known: ${Object.keys(RIGHT).join(', ')}` };
    }
    if (times > 1) return { wrong: `"${name}" is given ${times} times; give it once` };
  }
  const parsed = schema.safeParse(Object.fromEntries(parameters));
  if (parsed.success) return parsed.data;
  const name = String(parsed.error.issues[0]?.path[0]);
  return { wrong: `"${name}" ${RIGHT[name]}` };
}
