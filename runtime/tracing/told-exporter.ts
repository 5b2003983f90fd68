import type { SpanExporter } from '@opentelemetry/sdk-trace-node';
import type { Log } from '../log.ts';

/** The same exporter, but that the log says when traces begin to be refused, and when they are accepted again. */
export function exporterThatTells(exporter: SpanExporter, log: Log): SpanExporter {
  let failing = false;
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        const failed = result.error !== undefined;
        // Not the error itself: a collector's answer may repeat what was sent to it.
        if (failed && !failing) log.warn({ reason: result.error?.name }, 'traces are not accepted by their collector');
        if (!failed && failing) log.info('traces are accepted again');
        failing = failed;
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}
