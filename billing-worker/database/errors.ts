import postgres from 'postgres';

/** PostgreSQL's classes of errors that lie in the data: out of range, violates a check, too long for an index. */
const DATA_CLASSES = ['22', '23', '54'];
/** And of those that pass: connections, rollbacks, resources, an operator's intervention, the system. */
const PASSING_CLASSES = ['08', '40', '53', '55', '57', '58'];

/** The same data will fail again, however often it is tried. */
export const isDataError = (error: unknown): boolean => DATA_CLASSES.includes(sqlState(error)?.slice(0, 2) ?? '');

/** What was asked for holds NUL, which is in no text of PostgreSQL. */
export const holdsNul = (error: unknown): boolean => sqlState(error) === '22021';

/** There is no answer from the database, or one that only says "not now". */
export function isAway(error: unknown): boolean {
  const state = sqlState(error);
  // What Node says of a wrong argument has a code as well.
  if (state === undefined) return !(errorCode(error) ?? 'ERR_INVALID_').startsWith('ERR_INVALID_');
  return PASSING_CLASSES.includes(state.slice(0, 2));
}

/** What PostgreSQL said, with its detail: "invalid input syntax for type json" alone helps nobody. */
export function reasonOf(error: unknown): string {
  const answer = answerOf(error);
  return answer ? [answer.message, answer.detail].filter(Boolean).join(': ') : String(error);
}

const sqlState = (error: unknown) => answerOf(error)?.code;

/** What PostgreSQL answered; undefined if the error is none of its answers. */
function answerOf(error: unknown): postgres.PostgresError | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof postgres.PostgresError) return cause;
  }
  return undefined;
}

/** The code of a failed system call or of the driver, such as ECONNREFUSED or CONNECTION_CLOSED. */
function errorCode(error: unknown): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string') return cause.code;
  }
  return undefined;
}

/** Somebody else was faster: what was read before is no longer so. `message`: in what, as a statement's own check says it. */
export const isConflict = (error: unknown, message?: string): boolean =>
  ['40001', '40P01', '23505'].includes(sqlState(error) ?? '') &&
  (message === undefined || answerOf(error)?.message === message);
