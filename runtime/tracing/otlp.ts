import {
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  NodeTracerProvider,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-node';
import type { Context, MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import type { Log } from '../log.ts';
import { packageVersion } from '../package-root.ts';
import { exporterThatTells } from './told-exporter.ts';
import type { OpenTracing, Tracing } from './tracing.ts';

/** A collector that does not answer must not keep a process from ending. */
const TIMEOUT_MS = 3_000;
/** So long spans wait for others. */
const DELAY_MS = 1_000;

/** Asked for every few seconds by whoever watches: they would be most of all traces. */
const UNTRACED = /^\/(health|metrics)(\/|$)/;

export interface OtlpOptions {
  url: string;
  headers: Record<string, string>;
  serviceName: string;
  /** Of the requests whose caller does not say whether they are traced: from 0 to 1. */
  ratio: number;
  log: Log;
}

export interface Otlp {
  tracing: OpenTracing;
  /** Sends what is left, and resolves after a few seconds at the latest. */
  close(): Promise<void>;
}

/** Spans go to an OTLP/HTTP collector, many at once, and are dropped where it does not keep up. */
export function openOtlp({ headers, log, ratio, serviceName, url }: OtlpOptions): Otlp {
  const exporter: SpanExporter = new OTLPTraceExporter({ url, headers, timeoutMillis: TIMEOUT_MS });
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName, 'service.version': packageVersion }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
    spanProcessors: [
      new BatchSpanProcessor(exporterThatTells(exporter, log), {
        scheduledDelayMillis: DELAY_MS,
        exportTimeoutMillis: TIMEOUT_MS,
      }),
    ],
  });
  provider.register();
  return {
    tracing: (service) => tracingOf(provider.getTracer(service, packageVersion)),
    close: () => Promise.race([provider.shutdown(), after(TIMEOUT_MS)]).catch(() => {}),
  };
}

function tracingOf(tracer: Tracer): Tracing {
  return {
    requests: requestsOf(tracer),
    phase: (name, begun, ended) => tracer.startSpan(name, { startTime: begun }).end(ended),
    decided: (decisionId, allow, reason) => {
      const attributes = { 'openclaw.decision_id': decisionId, 'openclaw.allow': allow, 'openclaw.reason': reason };
      trace.getActiveSpan()?.addEvent('decision', attributes);
    },
    work: (name, attributes, work) => tracer.startActiveSpan(name, { attributes }, (span) => ended(span, work)),
  };
}

/** The name of a span is the route and not the path, which may hold ids, and nothing else of the request is told. */
function requestsOf(tracer: Tracer): MiddlewareHandler {
  return async function traced(c, next) {
    if (UNTRACED.test(c.req.path)) return next();
    const parent = propagation.extract(ROOT_CONTEXT, c, HEADERS);
    const { method } = c.req;
    const options = { kind: SpanKind.SERVER, attributes: { 'http.request.method': method } };
    return tracer.startActiveSpan(method, options, parent, (span) =>
      ended(span, async () => {
        await next();
        describe(span, c);
      }),
    );
  };
}

function describe(span: Span, c: Context): void {
  const route = routePath(c, -1);
  span.updateName(`${c.req.method} ${route}`);
  span.setAttributes({ 'http.route': route, 'http.response.status_code': c.res.status });
  if (c.res.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
}

/** An error's text may hold what was sent: that it failed is told, and not how. */
async function ended<Result>(span: Span, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}

const HEADERS: TextMapGetter<Context> = {
  keys: () => ['traceparent', 'tracestate'],
  // Not `baggage`: it may hold anything, and nothing here reads it.
  get: (c, name) => (name === 'baggage' ? undefined : c.req.header(name)),
};

const after = (milliseconds: number) =>
  new Promise<void>((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });
