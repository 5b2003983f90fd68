import { z } from 'zod';
import { INSTANT, instantParameter as instant } from './instant-parameter.ts';
import { readQueryParameters } from './query-parameters.ts';

const GROUPS = ['tenant', 'team', 'project', 'user', 'model', 'day'] as const;

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
    group_by: z.enum(GROUPS).default('tenant'),
    format: z.enum(['csv', 'json']).optional(),
  })
  .refine(({ from, to }) => !from || !to || Date.parse(from) < Date.parse(to), { path: ['to'] });

export type UsageQuery = z.infer<typeof schema>;
export type GroupBy = UsageQuery['group_by'];

const RIGHT = {
  tenant_id: 'must name a tenant, or be left out for all of them',
  from: INSTANT,
  to: `${INSTANT}, later than "from"`,
  group_by: `must be ${GROUPS.slice(0, -1).join(', ')} or ${GROUPS.at(-1)}`,
  format: 'must be csv or json, or be left out for what the header Accept asks for',
};

/** Reads the parameters. What is wrong is told as a sentence that says what would be right. */
export const parseUsageQuery = (parameters: URLSearchParams): UsageQuery | { wrong: string } =>
  readQueryParameters(parameters, schema, RIGHT);
