import type { Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { HTTPException } from 'hono/http-exception';
import { type ErrorCode, type WireError, wireError } from '../../schemas/errors.ts';

type Status = 400 | 401 | 403 | 404 | 409 | 410 | 413 | 500;

/** Ends the request with an error in OPA's shape. */
export class Refusal extends HTTPException {
  constructor(status: Status, code: ErrorCode, message: string, errors?: WireError['errors']) {
    super(status, { res: Response.json(wireError(code, message, errors), { status }) });
  }
}

/** Bodies that are too long: OPA's 400 on OPA's routes, 413 on ours. */
export const limitBody = (maxBytes: number, status: 400 | 413) =>
  bodyLimit({
    maxSize: maxBytes,
    onError: () => {
      throw new Refusal(status, 'invalid_parameter', `body is longer than ${maxBytes} bytes`);
    },
  });

/** The body as JSON; undefined if it is empty. */
export async function readJson(c: Context): Promise<unknown> {
  const text = await c.req.text();
  return text === '' ? undefined : parseJson(text, 'body');
}

export function parseJson(text: string, where: 'body' | 'parameter'): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal(
      400,
      'invalid_parameter',
      `${where} contains malformed input document: ${(error as Error).message}`,
    );
  }
}
