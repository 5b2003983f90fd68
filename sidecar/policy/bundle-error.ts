/** What can be wrong with a bundle, or with getting it: a label of metrics, so there are few. */
export const BUNDLE_PROBLEMS = [
  /** There is no such file, or it cannot be read. */
  'missing',
  /** The server cannot be reached, or does not answer in time. */
  'unreachable',
  /** The server answers with a status other than 200 and 304. */
  'http_status',
  'too_large',
  /** Not a whole gzip file, or not a whole tar file in it. */
  'archive',
  /** What must be in it is not, or is malformed. */
  'contents',
  'signature',
  /** `policy.wasm` cannot be loaded: no WebAssembly, another ABI, no memory for its data. */
  'module',
  /** It needs a built-in that is not provided or not allowed. */
  'builtin',
  /** An entrypoint that must be there is not. */
  'entrypoint',
] as const;

export type BundleProblem = (typeof BUNDLE_PROBLEMS)[number];

/** The bundle cannot be had or used. The message says what is wrong and what would be right. */
export class BundleError extends Error {
  override readonly name = 'BundleError';
  readonly problem: BundleProblem;
  readonly httpStatus: number | undefined;

  constructor(problem: BundleProblem, message: string, httpStatus?: number) {
    super(message);
    this.problem = problem;
    this.httpStatus = httpStatus;
  }
}
