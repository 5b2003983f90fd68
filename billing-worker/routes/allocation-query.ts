import { z } from 'zod';
import { isTimeZone } from '../../schemas/time-zone.ts';
import { METHOD_NAMES } from '../allocation/methods.ts';
import type { AllocationQuery } from '../allocation/report.ts';
import { readQueryParameters } from './query-parameters.ts';

const name = z
  .string()
  .min(1)
  .refine((text) => !text.includes('\u0000'));

/** The parameters of `GET /v1/allocation`. */
const schema = z.strictObject({
  invoice_usd: z.string().regex(/^\d{1,15}(\.\d{1,2})?$/),
  by: z.enum(METHOD_NAMES),
  month: z.string().regex(/^(19[7-9]\d|2\d{3})-(0[1-9]|1[0-2])$/),
  timezone: z.string().refine(isTimeZone).default('UTC'),
  tenant_id: name.optional(),
  teams: z
    .string()
    .transform((text) => text.split(',').map((team) => team.trim()))
    .pipe(z.array(name))
    .default([]),
  format: z.enum(['csv', 'json']).optional(),
});

const RIGHT = {
  invoice_usd: 'must be dollars and cents such as 2400 or 2400.50',
  by: `must be ${METHOD_NAMES.slice(0, -1).join(', ')} or ${METHOD_NAMES.at(-1)}`,
  month: 'must be a month such as 2026-10',
  timezone: 'must be a time zone such as Europe/Berlin, or be left out for UTC',
  tenant_id: 'must name a tenant, or be left out for all of them',
  teams: 'must name teams, separated by commas, that get a row also if they have used nothing; or be left out',
  format: 'must be csv or json, or be left out for what the header Accept asks for',
};

export type AllocationRequest = AllocationQuery & { format?: 'csv' | 'json' | undefined };

/** Reads the parameters. What is wrong is told as a sentence that says what would be right. */
export function parseAllocationQuery(parameters: URLSearchParams): AllocationRequest | { wrong: string } {
  const query = readQueryParameters(parameters, schema, RIGHT);
  if ('wrong' in query) return query;
  const { invoice_usd, tenant_id, ...rest } = query;
  const [dollars = '', cents = ''] = invoice_usd.split('.');
  return { ...rest, cents: BigInt(dollars + cents.padEnd(2, '0')), tenantId: tenant_id };
}
