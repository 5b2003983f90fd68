import { HTTPException } from 'hono/http-exception';
import { type ErrorCode, errorText, type WireError, wireError } from '../../schemas/errors.ts';

type Status = 400 | 401 | 403 | 404 | 405 | 409 | 410 | 413 | 429 | 500;

/** Ends the request with an error in OPA's shape. */
export class Refusal extends HTTPException {
  readonly body: WireError;

  constructor(
    status: Status,
    code: ErrorCode,
    message: string,
    errors?: WireError['errors'],
    headers: Record<string, string> = {},
  ) {
    const body = wireError(code, message, errors);
    super(status, {
      message,
      res: new Response(errorText(body), { status, headers: { 'Content-Type': 'application/json', ...headers } }),
    });
    this.body = body;
  }
}
