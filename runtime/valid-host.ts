import type { IncomingMessage } from 'node:http';
import { errorText, wireError } from '../schemas/errors.ts';

type Fetch = (request: Request, env: { incoming: IncomingMessage }) => Response | Promise<Response>;

/**
 * Refuses a `Host` of which no URL can be made, such as `1.2.3.4.5`: @hono/node-server looks at its characters alone, and whatever
 * reads the URL later would fail on it.
 */
export function withValidHost(fetch: Fetch): Fetch {
  // Callers say the same host again and again.
  let known = 'localhost';
  return (request, env) => {
    const { host = known } = env.incoming.headers;
    if (host === known) return fetch(request, env);
    if (!URL.canParse(`http://${host}/`)) return wrong();
    known = host;
    return fetch(request, env);
  };
}

const wrong = () =>
  new Response(errorText(wireError('invalid_parameter', 'the header Host names no host')), {
    status: 400,
    headers: { 'Content-Type': 'application/json' },
  });
