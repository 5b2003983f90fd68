/** OPA's names for its routes, and ours beside them. */
const HANDLERS = [
  'v1/data',
  'v1/batch/data',
  'v1/usage',
  'v1/decisions',
  'v0/data',
  'health',
  'metrics',
  'v1/status',
  'v1/config',
  'v1/policies',
  'v1/query',
  'v1/compile',
];

/** Whose path it is; undefined if nobody's. */
export function handlerOf(path: string): string | undefined {
  if (path === '/') return 'index';
  return HANDLERS.find(
    (handler) =>
      path.startsWith(handler, 1) && (path.length === handler.length + 1 || path[handler.length + 1] === '/'),
  );
}
