import type { MiddlewareHandler } from 'hono';
import type { Environment } from '../config/environment.ts';
import type { Log } from '../log.ts';
import type { Closers } from '../shutdown.ts';

/** Spans of the phases of a decision, below that of its request. */
export interface PhaseSpans {
  /** From when to when, in milliseconds of the monotonic clock. */
  phase(name: string, begun: number, ended: number): void;
}

export interface DecisionSpans {
  /** Says what came of a decision, in the span of its request. */
  decided(decisionId: string, allow: boolean, reason: string): void;
}

/** Traces of one service: what it was asked for and how long it took, never what was said in it. */
export interface Tracing extends PhaseSpans, DecisionSpans {
  /** Gives each request a span of its own, under that of the caller if it names one (W3C `traceparent`). */
  requests: MiddlewareHandler;
  /** Gives work that nobody asked for a span of its own. */
  work<Result>(name: string, numbers: Record<string, number>, work: () => Promise<Result>): Promise<Result>;
}

/** Traces of each service of this process. */
export type OpenTracing = (service: string) => Tracing;

export interface OpenTracingDeps {
  environment: Environment;
  /** What the process is called where OTEL_SERVICE_NAME does not say. */
  name: string;
  closers: Closers;
  log: Log;
}

/**
 * Traces are sent where OTEL_EXPORTER_OTLP_ENDPOINT says. Undefined where it says nothing: then nothing of OpenTelemetry's SDK is
 * loaded, which takes 0.2 s and 20 MB.
 */
export async function openTracing({
  closers,
  environment,
  log,
  name,
}: OpenTracingDeps): Promise<OpenTracing | undefined> {
  const endpoint = environment.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (!endpoint) return undefined;
  const { openOtlp } = await import('./otlp.ts');
  const otlp = openOtlp({
    url: `${endpoint.replace(/\/$/, '')}/v1/traces`,
    headers: environment.OTEL_EXPORTER_OTLP_HEADERS,
    serviceName: environment.OTEL_SERVICE_NAME ?? name,
    ratio: environment.OTEL_TRACES_SAMPLER_ARG,
    log,
  });
  closers.add('traces', () => otlp.close());
  return otlp.tracing;
}
