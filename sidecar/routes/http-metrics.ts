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
export function httpMetrics(registry: Registry, clock: Clock): MiddlewareHandler {
  const duration = new QuickHistogram({
    name: 'http_request_duration_seconds',
    help: 'A histogram of duration for requests.',
    buckets: [1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 0.01, 0.1, 1],
    registers: [registry],
  });
  const known = new Map<string, Series>();
  const seriesOf = (code: string, handler: string, method: string) => {
    const key = `${code} ${method} ${handler}`;
    const series = known.get(key) ?? duration.series({ code, handler, method });
    known.set(key, series);
    return series;
  };
  return async function observe(c, next) {
    const start = clock.monotonic();
    await next();
    const seconds = (clock.monotonic() - start) / 1000;
    seriesOf(String(c.res.status), handlerOf(c.req.path) ?? 'catchall', methodOf(c.req.method)).observe(seconds);
  };
}

const methodOf = (method: string) => (METHODS.has(method) ? method.toLowerCase() : 'unknown');
