import { z } from 'zod';
import { MOST_LETTERS } from '../dead-letters/replay.ts';
import { readQueryParameters } from './query-parameters.ts';

/** The id of a dead letter: a positive bigint. */
const letterId = z.string().regex(/^[1-9]\d{0,17}$/);

/** The parameters of `GET /v1/dead-letters`. */
const listSchema = z.strictObject({
  limit: z
    .string()
    .regex(/^\d{1,4}$/)
    .transform(Number)
    .pipe(z.int().min(1).max(MOST_LETTERS))
    .default(100),
  after: letterId.optional(),
  reason: z
    .string()
    .min(1)
    .refine((text) => !text.includes('\u0000'))
    .optional(),
  raw: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .default(false),
});

const RIGHT = {
  limit: `must be a whole number from 1 to ${MOST_LETTERS}`,
  after: 'must be "next" of the page before, or be left out',
  reason: 'must be a part of the reason, or be left out',
  raw: 'must be true or false',
};

/** Reads the parameters. What is wrong is told as a sentence that says what would be right. */
export const parseDeadLettersQuery = (parameters: URLSearchParams) =>
  readQueryParameters(parameters, listSchema, RIGHT);

const replaySchema = z
  .strictObject({
    ids: z.array(letterId).min(1).max(MOST_LETTERS).optional(),
    all: z.literal(true).optional(),
    after: letterId.optional(),
    dry_run: z.boolean().default(false),
  })
  .refine(({ after, all, ids }) => (all ? !ids : ids && !after));

export type ReplayBody = z.infer<typeof replaySchema>;

const WRONG_BODY =
  `the body must be JSON with "ids", a list of 1 to ${MOST_LETTERS} ids of dead letters, as strings; ` +
  'or with "all": true, and "after" where the call before ended; beside either may be "dry_run": true';

/** Reads the body of `POST /v1/dead-letters/replay`. */
export function parseReplayBody(body: unknown): ReplayBody | { wrong: string } {
  const parsed = replaySchema.safeParse(body);
  return parsed.success ? parsed.data : { wrong: WRONG_BODY };
}
