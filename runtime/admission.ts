import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { errorText, wireError } from '../schemas/errors.ts';

/** Whoever watches the process must be able to, above all when it is busy: with places of their own, and no more. */
const WATCHED = /^\/(health|metrics)([/?]|$)/;
const MAX_WATCHED = 64;

interface Bindings {
  incoming: IncomingMessage;
}

type Fetch = (request: Request, env: Bindings) => Response | Promise<Response>;

/**
 * Bounds what is under way: so no queue behind it grows without end, whoever sends however much on however few connections.
 *
 * A request has its place from the last byte of its body on. Before that it costs its connection, of which there is a bound too: who sends
 * a body byte by byte takes nobody's place.
 */
export class Admission {
  readonly #others: Places;
  readonly #watched = new Places(MAX_WATCHED);

  /** `most`: requests that may be answered at once. */
  constructor(most: number) {
    this.#others = new Places(most);
  }

  /** Undefined: there is no place. Else what gives it back. */
  enter(incoming: IncomingMessage): (() => void) | undefined {
    const places = WATCHED.test(incoming.url ?? '') ? this.#watched : this.#others;
    return places.enter(incoming);
  }
}

/** What has no place is answered at once, with 503 and `Retry-After`, before anything of it is looked at. */
export function admitting(fetch: Fetch, admission: Admission, onRefused?: () => void): Fetch {
  return (request, env) => {
    const leave = admission.enter(env.incoming);
    if (!leave) {
      onRefused?.();
      return overloaded();
    }
    let answer: Response | Promise<Response>;
    try {
      answer = fetch(request, env);
    } catch (error) {
      leave();
      throw error;
    }
    if (answer instanceof Promise) return answer.finally(leave);
    leave();
    return answer;
  };
}

class Places {
  readonly #most: number;
  #taken = 0;
  /** On each connection, the request whose body has not come in whole: it is the last one there. */
  readonly #arriving = new WeakMap<Socket, () => void>();

  constructor(most: number) {
    this.#most = most;
  }

  enter(incoming: IncomingMessage): (() => void) | undefined {
    // Another request behind it: it is whole.
    this.#arriving.get(incoming.socket)?.();
    if (this.#taken >= this.#most) return undefined;
    let state: 'arriving' | 'in' | 'left' = 'arriving';
    const arrived = () => {
      if (state !== 'arriving') return;
      state = 'in';
      this.#taken += 1;
      this.#arriving.delete(incoming.socket);
    };
    if (hasBody(incoming)) {
      this.#arriving.set(incoming.socket, arrived);
      incoming.once('end', arrived);
    } else arrived();
    return () => {
      if (state === 'in') this.#taken -= 1;
      else this.#arriving.delete(incoming.socket);
      state = 'left';
    };
  }
}

const hasBody = ({ headers }: IncomingMessage) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

const overloaded = () =>
  new Response(errorText(wireError('internal_error', 'too many requests are under way here; ask again in a moment')), {
    status: 503,
    headers: { 'Content-Type': 'application/json', 'Retry-After': '1' },
  });
