import type { BundleProblem } from './bundle-error.ts';

/** What is known of the bundle and the policy that it gave: for `/v1/status`, `/health` and metrics. Times are epoch ms. */
export interface PolicyStatus {
  /** What it does: decide, or be compared with the one that does. */
  role: 'policy' | 'shadow policy';
  /** What the variable names: a path, or a URL without its query, which may hold a secret. */
  name: string;
  source: 'file' | 'url';
  /** Revision in force; undefined while there is none, and then nothing can be decided. */
  activeRevision: string | undefined;
  /** Whether the policy in force is the copy kept in DATA_DIR, because the server has given nothing yet. */
  kept: boolean;
  /** Size of the bundle in force, in bytes. */
  size: number | undefined;
  lastRequest: number | undefined;
  /** The server answered: with a bundle, or that it has not changed. The file could be read. */
  lastSuccessfulRequest: number | undefined;
  lastSuccessfulDownload: number | undefined;
  lastSuccessfulActivation: number | undefined;
  /** Why the last attempt came to nothing; undefined if it did not. The policy in force goes on. */
  problem: { code: 'bundle_error'; reason: BundleProblem; message: string; httpStatus: number | undefined } | undefined;
}
