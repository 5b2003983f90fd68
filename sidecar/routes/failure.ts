import { HTTPException } from 'hono/http-exception';
import type { Log } from '../../runtime/log.ts';
import { errorText, wireError } from '../../schemas/errors.ts';
import { CountersUnavailable } from '../counters/contract.ts';
import { InputError } from '../policy/canonical.ts';
import { NoPolicy } from '../policy/policies.ts';

const JSON_TYPE = { 'Content-Type': 'application/json' };

/** What was asked for. */
interface Where {
  path: string;
  /** As the routes name it, such as `/v1/data/*`: a path may hold whatever a caller likes. */
  route: string;
}

/** A failure in OPA's shape. What went wrong inside is for the log, not for the caller. */
export function failure(error: Error, at: Where, log: Log): Response {
  const response = error instanceof HTTPException ? error.getResponse() : unexpected(error, at, log);
  if (/^\/v[01]\/data/.test(at.path)) response.headers.set('Vary', 'Accept-Encoding');
  return response;
}

function unexpected(error: Error, { route }: Where, log: Log): Response {
  if (error instanceof InputError) {
    const body = errorText(wireError('invalid_parameter', error.message));
    return new Response(body, { status: 400, headers: JSON_TYPE });
  }
  if (error instanceof CountersUnavailable) {
    log.error({ err: error, path: route }, 'the counters cannot be reached');
    const body = errorText(wireError('internal_error', 'the counters cannot be reached'));
    return new Response(body, { status: 503, headers: { ...JSON_TYPE, 'Retry-After': '1' } });
  }
  if (error instanceof NoPolicy) {
    const body = errorText(wireError('internal_error', error.message));
    return new Response(body, { status: 503, headers: { ...JSON_TYPE, 'Retry-After': '1' } });
  }
  log.error({ err: error, path: route }, 'request failed');
  return new Response(errorText(wireError('internal_error', 'internal error')), { status: 500, headers: JSON_TYPE });
}
