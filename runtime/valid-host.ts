import type { IncomingMessage } from 'node:http';
import { errorText, wireError } from '../schemas/errors.ts';

type Fetch = (request: Request, env: { incoming: IncomingMessage }) => Response | Promise<Response>;

/**
 * Whether a URL can be made of a request's `Host`, unlike of `1.2.3.4.5`: @hono/node-server looks at its characters alone, and whatever
 * reads the URL later would fail on it.
 */
export function hostCheck(): (incoming: IncomingMessage) => boolean {
  // Callers say the same host again and again.
  let known = 'localhost';
  return ({ headers: { host = known } }) => {
    if (host === known) return true;
    if (!URL.canParse(`http://${host}/`)) return false;
    known = host;
    return true;
  };
}

/** Refuses a host that is none. */
export const withValidHost =
  (fetch: Fetch, isValid: ReturnType<typeof hostCheck>): Fetch =>
  (request, env) =>
    isValid(env.incoming) ? fetch(request, env) : wrong();

const wrong = () =>
  new Response(errorText(wireError('invalid_parameter', 'the header Host names no host')), {
    status: 400,
    headers: { 'Content-Type': 'application/json' },
  });
