import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Place } from '../../runtime/admission.ts';
import type { Direct } from '../../runtime/listen.ts';
import type { Log } from '../../runtime/log.ts';
import type { Series } from '../../runtime/metrics/quick-histogram.ts';
import { identifiedAtOnce, shownIn } from '../identity/authenticate.ts';
import type { Shown } from '../identity/identify.ts';
import type { Identity } from '../identity/identity.ts';
import { NoPolicy } from '../policy/policies.ts';
import type { Policy } from '../policy/policy.ts';
import { answerText } from './answer-body.ts';
import { addressOf } from './caller-address.ts';
import { type DataDeps, inputOf, PREFIX } from './data.ts';
import type { DataPath } from './data-path.ts';
import { evaluate, type Question } from './evaluate.ts';
import { failure } from './failure.ts';
import type { HttpDurations } from './http-metrics.ts';
import { parseJson } from './json.ts';
import { rateLimitHeaders } from './rate-limit-headers.ts';
import { DATA_HEADERS, GZIP, packedBody } from './reply.ts';
import { brokenOff, wholeBody } from './whole-body.ts';

export interface DirectDeps extends DataDeps {
  durations: HttpDurations;
  log: Log;
}

interface Asked {
  incoming: IncomingMessage;
  outgoing: ServerResponse;
  route: Route;
  place: Place;
  shown: Shown;
  identity: Identity;
}

/**
 * What agents ask all day, a `POST /v1/data/<package>/allow` of a metered package, answered on Node's own request and response. The
 * answer is that of `dataRoutes`, by the same evaluation; Hono, its middleware and the web's objects around it took 60 to 80 µs of 215.
 * Whatever is not as usual is left to the routes: parameters, a header that comes twice, a body of unknown length or packed, too many
 * requests at once, and callers who are not known at once.
 */
export function directData(deps: DirectDeps): Direct {
  const routeOf = routes(deps);
  return (incoming, outgoing, enter) => {
    const route = incoming.method === 'POST' ? routeOf(incoming.url as string) : undefined;
    if (!route || !isUsual(incoming, deps.maxBodyBytes)) return false;
    const place = enter(incoming);
    if (!place) return false;
    const shown = shownIn(incoming);
    const identity = identifiedAtOnce(deps.identities, incoming, shown);
    if (identity) answerWhole(deps, { incoming, outgoing, route, place, shown, identity });
    else place.leave();
    return identity !== undefined;
  };
}

interface Route {
  path: DataPath;
  /** How long those took that were answered. */
  answered: Series;
}

/** Paths as a caller writes them who writes nothing in two ways: no escapes, no parameters, no slash too many. */
function routes({ durations, policy: current }: DirectDeps): (url: string) => Route | undefined {
  const known = new WeakMap<Policy, Map<string, Route>>();
  return (url) => {
    const policy = inForce(current);
    if (!policy) return undefined;
    const before = known.get(policy);
    if (before) return before.get(url);
    const metered = [...policy.metered].flatMap((pkg) => [pkg, `${pkg}/allow`, `${pkg}/decision`]);
    const ofPolicy = new Map(
      metered.map((path) => {
        const whole = `${PREFIX}/${path}`;
        return [whole, { path: path.split('/'), answered: durations.series(200, 'POST', whole) }];
      }),
    );
    known.set(policy, ofPolicy);
    return ofPolicy.get(url);
  };
}

/** Before the first bundle has come there is none, and the routes say so. */
function inForce(current: () => Policy): Policy | undefined {
  try {
    return current();
  } catch (error) {
    if (error instanceof NoPolicy) return undefined;
    throw error;
  }
}

function isUsual({ headers, rawHeaders }: IncomingMessage, maxBytes: number): boolean {
  if (headers['content-encoding'] !== undefined || headers['transfer-encoding'] !== undefined) return false;
  const length = headers['content-length'];
  if (length === undefined || !(Number(length) <= maxBytes)) return false;
  let names = 0;
  for (const _ in headers) names += 1;
  return 2 * names === rawHeaders.length;
}

function answerWhole(deps: DirectDeps, asked: Asked): void {
  const start = deps.clock.monotonic();
  wholeBody(asked.incoming, (body) => {
    asked.place.arrived();
    void answer(deps, asked, { body, start });
  });
}

/** `body`: undefined where it did not come in whole. `start`: when the request came, on the monotonic clock. */
interface Come {
  body: string | undefined;
  start: number;
}

/** As `dataRoutes` has it for who asks for nothing beside the answer. */
async function answer(deps: DirectDeps, asked: Asked, { body, start }: Come): Promise<void> {
  const { incoming, outgoing } = asked;
  const path = incoming.url as string;
  try {
    if (body === undefined) throw brokenOff();
    const input = inputOf(parseJson(body, 'body'));
    const evaluated = await evaluate(deps, questionOf(deps, asked, input));
    const more = { inputMissing: input === undefined, timing: undefined, version: deps.version };
    const told = answerText(evaluated, more);
    const packed = packedBody(told, deps.gzipMinLength, incoming.headers['accept-encoding'] as string | undefined);
    const limits = evaluated.answer ? rateLimitHeaders(evaluated.answer) : {};
    if (packed) send(outgoing, 200, [DATA_HEADERS, limits, GZIP], await packed);
    else send(outgoing, 200, [DATA_HEADERS, limits], told);
  } catch (error) {
    const response = failure(error as Error, { path, route: `${PREFIX}/*` }, deps.log);
    send(outgoing, response.status, [Object.fromEntries(response.headers)], await response.text());
  } finally {
    asked.place.leave();
  }
  const { statusCode } = outgoing;
  const series = statusCode === 200 ? asked.route.answered : deps.durations.series(statusCode, 'POST', path);
  series.observe((deps.clock.monotonic() - start) / 1000);
}

const questionOf = (deps: DirectDeps, { identity, incoming, route, shown }: Asked, input: unknown): Question => ({
  path: route.path,
  input,
  take: true,
  identity,
  idempotencyKey: incoming.headers['idempotency-key'] as string | undefined,
  requestedBy: deps.decisionLog && addressOf(incoming),
  address: deps.identities.addressOf(shown),
});

type Headers = Readonly<Record<string, string>>;

function send(outgoing: ServerResponse, status: number, headers: readonly Headers[], body: string | Buffer): void {
  const list = ['Content-Length', String(Buffer.byteLength(body))];
  for (const some of headers) {
    for (const name in some) list.push(name, some[name] as string);
  }
  outgoing.writeHead(status, list).end(body);
}
