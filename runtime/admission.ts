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

  /** Undefined: there is no place. Who gets one says when the body has come in whole, and when the request is answered. */
  enter(incoming: IncomingMessage): Place | undefined {
    const places = WATCHED.test(incoming.url ?? '') ? this.#watched : this.#others;
    return places.enter(incoming);
  }
}

/** What has no place is answered at once, with 503 and `Retry-After`, before anything of it is looked at. */
export function admitting(fetch: Fetch, admission: Admission, onRefused?: () => void): Fetch {
  return (request, env) => {
    const place = admission.enter(env.incoming);
    if (!place) {
      onRefused?.();
      return overloaded();
    }
    if (!place.isWhole) env.incoming.once('end', () => place.arrived());
    let answer: Response | Promise<Response>;
    try {
      answer = fetch(request, env);
    } catch (error) {
      place.leave();
      throw error;
    }
    if (answer instanceof Promise) return answer.finally(() => place.leave());
    place.leave();
    return answer;
  };
}

class Places {
  readonly most: number;
  taken = 0;
  /** On each connection, the request whose body has not come in whole: it is the last one there. */
  readonly arriving = new WeakMap<Socket, Place>();

  constructor(most: number) {
    this.most = most;
  }

  enter(incoming: IncomingMessage): Place | undefined {
    // Another request behind it: it is whole.
    this.arriving.get(incoming.socket)?.arrived();
    if (this.taken >= this.most) return undefined;
    const place = new Place(this, incoming.socket);
    if (hasBody(incoming)) this.arriving.set(incoming.socket, place);
    else place.arrived();
    return place;
  }
}

/** One request's. */
export class Place {
  readonly #places: Places;
  readonly #socket: Socket;
  #state: 'arriving' | 'in' | 'left' = 'arriving';

  constructor(places: Places, socket: Socket) {
    this.#places = places;
    this.#socket = socket;
  }

  get isWhole(): boolean {
    return this.#state !== 'arriving';
  }

  arrived(): void {
    if (this.#state !== 'arriving') return;
    this.#state = 'in';
    this.#places.taken += 1;
    this.#places.arriving.delete(this.#socket);
  }

  leave(): void {
    if (this.#state === 'in') this.#places.taken -= 1;
    else this.#places.arriving.delete(this.#socket);
    this.#state = 'left';
  }
}

const hasBody = ({ headers }: IncomingMessage) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

const overloaded = () =>
  new Response(errorText(wireError('internal_error', 'too many requests are under way here; ask again in a moment')), {
    status: 503,
    headers: { 'Content-Type': 'application/json', 'Retry-After': '1' },
  });
