import { z } from 'zod';
import { readQueryParameters } from './query-parameters.ts';

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,6}$/)
    .transform(Number)
    .pipe(z.int().min(min).max(max));

/** A settle corrects a decision for 24 hours: what is listed leaves an hour to do it in. */
export const OLDEST_S = 23 * 3_600;
const MOST = 1_000;

/** The parameters of `GET /v1/usage-log/unsettled`. */
const schema = z.strictObject({
  limit: whole(1, MOST).default(100),
  older_than_s: whole(1, OLDEST_S).default(900),
  after: z
    .string()
    .max(1_024)
    .refine((text) => !text.includes('\u0000'))
    .optional(),
});

const RIGHT = {
  limit: `must be a whole number from 1 to ${MOST}`,
  older_than_s: `must be a whole number of seconds from 1 to ${OLDEST_S}, no less than RESERVATION_TTL_S`,
  after: 'must be "next" of the page before, or be left out',
};

/** Reads the parameters. What is wrong is told as a sentence that says what would be right. */
export const parseUnsettledQuery = (parameters: URLSearchParams) => readQueryParameters(parameters, schema, RIGHT);
