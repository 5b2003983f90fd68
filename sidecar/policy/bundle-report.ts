import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import { BUNDLE_PROBLEMS, type BundleError, type BundleProblem } from './bundle-error.ts';
import type { PolicyStatus } from './status.ts';

const WITHOUT = { policy: 'nothing can be decided', 'shadow policy': 'nothing is compared' };

/** Told of each bundle that takes the place of another, and of each that cannot be used, once until that changes. */
export interface BundleListener {
  activated(about: { role: PolicyStatus['role']; revision: string; replaced: string }): void;
  refused(about: { role: PolicyStatus['role']; message: string }): void;
}

/** Keeps what is known of the bundle, and says it: in the log once, until it changes; in status and metrics always. */
export class BundleReport {
  /** Attempts that came to nothing, by what was wrong. */
  readonly failures: Record<BundleProblem, number>;
  activations = 0;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listener: BundleListener | undefined;
  readonly #status: PolicyStatus;

  constructor(
    about: Pick<PolicyStatus, 'role' | 'name' | 'source'>,
    { clock, listener, log }: { clock: Clock; log: Log; listener?: BundleListener | undefined },
  ) {
    this.#clock = clock;
    this.#log = log;
    this.#listener = listener;
    this.failures = Object.fromEntries(BUNDLE_PROBLEMS.map((problem) => [problem, 0])) as typeof this.failures;
    this.#status = {
      ...about,
      activeRevision: undefined,
      kept: false,
      size: undefined,
      lastRequest: undefined,
      lastSuccessfulRequest: undefined,
      lastSuccessfulDownload: undefined,
      lastSuccessfulActivation: undefined,
      problem: undefined,
    };
  }

  get status(): PolicyStatus {
    return { ...this.#status };
  }

  requested(): void {
    this.#status.lastRequest = this.#clock.now();
  }

  /** It is there; `downloaded` unless it is known already. */
  answered({ downloaded }: { downloaded: boolean }): void {
    const now = this.#clock.now();
    this.#status.lastSuccessfulRequest = now;
    if (downloaded) this.#status.lastSuccessfulDownload = now;
  }

  /** What is in force is what is there. */
  sound(): void {
    if (this.#status.problem)
      this.#log.info({ bundle: this.#status.name }, `the ${this.#status.role} bundle is sound again`);
    this.#status.problem = undefined;
    this.#status.kept = false;
  }

  activated(revision: string, { kept, size }: { size: number; kept: boolean }): void {
    this.activations++;
    this.#status.lastSuccessfulActivation = this.#clock.now();
    const { activeRevision: replaced, role } = this.#status;
    Object.assign(this.#status, { activeRevision: revision, size, kept });
    if (replaced !== undefined) this.#listener?.activated({ role, revision, replaced });
  }

  failed({ httpStatus, message, problem }: BundleError): void {
    this.failures[problem]++;
    const { activeRevision: revision, name: bundle, problem: before, role } = this.#status;
    this.#status.problem = { code: 'bundle_error', reason: problem, message, httpStatus };
    if (before?.message === message) return;
    this.#listener?.refused({ role, message });
    const goesOn = revision === undefined ? WITHOUT[role] : `the ${role} in force goes on`;
    this.#log.error({ bundle, reason: problem, revision }, `the ${role} bundle cannot be used, ${goesOn}: ${message}`);
  }
}
