import type { MiddlewareHandler } from 'hono';
import type { Registry } from 'prom-client';
import type { Clock } from '../../runtime/clock.ts';
import { QuickHistogram, type Series } from '../../runtime/metrics/quick-histogram.ts';
import { handlerOf } from './handler-of.ts';

const METHODS = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE']);

/**
 * `http_request_duration_seconds` with OPA's labels, so that dashboards made for OPA show the sidecar. Each label has few
 * values, whatever is asked for. The histogram is in seconds, from the routing to the answer.
 */
export class HttpDurations {
  readonly #duration: QuickHistogram;
  readonly #known = new Map<string, Series>();

  constructor(registry: Registry) {
    this.#duration = new QuickHistogram({
      name: 'http_request_duration_seconds',
      help: 'A histogram of duration for requests.',
      buckets: [1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 0.01, 0.1, 1],
      registers: [registry],
    });
  }

  /** Of a path as it is decoded, and a method as it was sent. */
  series(status: number, method: string, path: string): Series {
    const labels = { code: String(status), handler: handlerOf(path) ?? 'catchall', method: methodOf(method) };
    const key = `${labels.code} ${labels.method} ${labels.handler}`;
    const series = this.#known.get(key) ?? this.#duration.series(labels);
    this.#known.set(key, series);
    return series;
  }
}

export function httpMetrics(durations: HttpDurations, clock: Clock): MiddlewareHandler {
  return async function observe(c, next) {
    const start = clock.monotonic();
    await next();
    durations.series(c.res.status, c.req.method, c.req.path).observe((clock.monotonic() - start) / 1000);
  };
}

const methodOf = (method: string) => (METHODS.has(method) ? method.toLowerCase() : 'unknown');
