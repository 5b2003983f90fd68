import type { KeyObject } from 'node:crypto';
import type { Log } from '../../runtime/log.ts';
import { digestOf, unpackBundle } from './bundle.ts';
import { BundleError } from './bundle-error.ts';
import type { BundleReport } from './bundle-report.ts';
import { Policy, type PolicyOptions } from './policy.ts';
import type { PolicyStatus } from './status.ts';

/** There is no policy yet: its bundle could not be had or used since the start. The message says why. */
export class NoPolicy extends Error {
  override readonly name = 'NoPolicy';
}

export interface PoliciesOptions extends Omit<PolicyOptions, 'bundle'> {
  /** Public keys, one of which must have signed a bundle; none: it need not be signed. */
  keys: readonly KeyObject[];
  report: BundleReport;
  log: Log;
}

/** The policy in force, and how another one takes its place. */
export class Policies {
  readonly #options: PoliciesOptions;
  #current: Policy | undefined;
  /** Those that had a thread when they were last looked at. */
  #replaced: Policy[] = [];
  #bytes: Buffer | undefined;
  #digest: string | undefined;
  #config: object;
  /** Ends when the last change has. */
  #changing: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: PoliciesOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  /**
   * The policy in force. Ask once for an answer and stay with what you get: it goes on for as long as the answer takes,
   * also when another policy takes its place. Throws `NoPolicy`.
   */
  readonly current = (): Policy => {
    if (this.#current) return this.#current;
    const { message } = this.status().problem ?? { message: 'its bundle is being loaded' };
    throw new NoPolicy(`no policy is active: ${message}`);
  };

  /** The policy in force, if there is one. */
  get active(): Policy | undefined {
    return this.#current;
  }

  readonly status = (): PolicyStatus => this.#options.report.status;

  /** How many answers are remembered; undefined where none ever is. */
  get remembered(): number | undefined {
    return this.#current?.remembered;
  }

  /** Whether these are the bytes of the bundle in force. */
  isActive(bytes: Buffer): boolean {
    return this.#digest === digestOf(bytes);
  }

  /**
   * Puts the policy of this bundle in force, or throws `BundleError` and leaves everything as it was. A `kept` one never takes
   * the place of another.
   */
  activate(bytes: Buffer, { kept = false } = {}): Promise<void> {
    return this.#inTurn(() => this.#activate(bytes, kept));
  }

  /** Puts the policy in force on another configuration, or throws `BundleError` and leaves everything as it was. */
  reconfigure(config: object): Promise<void> {
    return this.#inTurn(async () => {
      const policy = this.#bytes && (await this.#open(this.#bytes, config));
      this.#config = config;
      if (policy) await this.#replace(policy);
    });
  }

  async #activate(bytes: Buffer, kept: boolean): Promise<void> {
    const { log, report } = this.#options;
    const policy = await this.#open(bytes, this.#config);
    const replaced = this.#current;
    if (kept && replaced) return policy.close();
    if (!(await this.#replace(policy))) return undefined;
    this.#bytes = bytes;
    this.#digest = digestOf(bytes);
    const { metered, revision } = policy;
    report.activated(revision, { kept, size: bytes.length });
    const { role } = report.status;
    log.info({ revision, replaced: replaced?.revision, metered: [...metered], kept }, `${role} is active`);
  }

  /** Answers whether it is in force now: not where all is being closed. */
  async #replace(policy: Policy): Promise<boolean> {
    if (this.#closed) {
      await policy.close();
      return false;
    }
    const replaced = this.#current;
    this.#current = policy;
    replaced?.retire();
    this.#replaced = [...this.#replaced, ...(replaced ? [replaced] : [])].filter(({ awake }) => awake);
    return true;
  }

  /** One change after the other. */
  #inTurn(change: () => Promise<void>): Promise<void> {
    const changed = this.#changing.then(change);
    this.#changing = changed.catch(() => {});
    return changed;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#current, ...this.#replaced].map((policy) => policy?.close()));
  }

  async #open(bytes: Buffer, config: object): Promise<Policy> {
    const { name } = this.#options.report.status;
    const bundle = await unpackBundle(bytes, name, this.#options.keys);
    try {
      return await Policy.open({ ...this.#options, config, bundle });
    } catch (error) {
      const { message } = error as Error;
      if (error instanceof BundleError) throw new BundleError(error.problem, `${name}: ${message}`);
      const mend = 'build it with `opa build -t wasm`';
      throw new BundleError('module', `${name}: policy.wasm cannot be loaded: ${message}; ${mend}`);
    }
  }
}
