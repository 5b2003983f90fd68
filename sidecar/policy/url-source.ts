import type { Log } from '../../runtime/log.ts';
import { BundleError } from './bundle-error.ts';
import type { BundleReport } from './bundle-report.ts';
import { type DownloadOptions, download } from './download.ts';
import type { KeptBundle } from './kept-bundle.ts';
import type { Policies } from './policies.ts';

/** The first wait after a failure; it doubles with each failure in a row, up to a minute or the interval. */
const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 60_000;
/** Waits differ by as much to either side, so that many sidecars do not ask at once. */
const JITTER = 0.2;
/** A start waits so long for the server before it goes on with the bundle kept from before. */
const START_WAIT_MS = 5_000;

export interface UrlSourceOptions extends DownloadOptions {
  intervalMs: number;
  policies: Policies;
  report: BundleReport;
  kept: KeptBundle;
  log: Log;
  /** From 0 to 1, as Math.random. */
  random: () => number;
}

/** A bundle on a server, asked for again and again. What is there takes the place of what was, if it is sound. */
export class UrlSource {
  readonly #options: UrlSourceOptions;
  readonly #ended = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  /** Of the bundle in force: what failed is asked for again. */
  #etag: string | undefined;
  #failures = 0;

  constructor(options: UrlSourceOptions) {
    this.#options = options;
  }

  /** Resolves also without a policy: the server may come later. */
  async start(): Promise<void> {
    this.#looking = this.#look();
    let timer: NodeJS.Timeout | undefined;
    const waited = new Promise((resolve) => {
      timer = setTimeout(resolve, START_WAIT_MS);
    });
    await Promise.race([this.#looking, waited]);
    clearTimeout(timer);
    if (!this.#options.report.status.activeRevision) await this.#useKept();
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    clearTimeout(this.#timer);
    await this.#looking;
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { policies, report } = this.#options;
    report.requested();
    try {
      const found = await download(this.#options, this.#etag, this.#ended.signal);
      report.answered({ downloaded: found.changed });
      if (found.changed && !policies.isActive(found.bytes)) await this.#activate(found.bytes);
      if (found.changed) this.#etag = found.etag;
      report.sound();
      this.#failures = 0;
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      this.#failures++;
      report.failed(error instanceof BundleError ? error : new BundleError('unreachable', (error as Error).message));
    }
    this.#lookIn(this.#wait());
  }

  async #activate(bytes: Buffer): Promise<void> {
    const { kept, log, policies } = this.#options;
    await policies.activate(bytes);
    await kept.write(bytes).catch((error: Error) => {
      log.warn(
        { err: error },
        'the policy bundle cannot be kept in DATA_DIR: a start without its server would have none',
      );
    });
  }

  async #useKept(): Promise<void> {
    const { kept, log, name, policies } = this.#options;
    try {
      const bytes = await kept.read();
      if (!bytes) return;
      await policies.activate(bytes, { kept: true });
      log.warn({ bundle: name }, 'the bundle server gives nothing: the last bundle that it gave is used');
    } catch (error) {
      log.error({ err: error }, 'the policy bundle kept in DATA_DIR cannot be used');
    }
  }

  #wait(): number {
    const { intervalMs, random } = this.#options;
    const first = Math.min(intervalMs, FIRST_BACKOFF_MS);
    const longest = Math.max(intervalMs, MAX_BACKOFF_MS);
    const wait = this.#failures ? Math.min(first * 2 ** (this.#failures - 1), longest) : intervalMs;
    return wait * (1 - JITTER + 2 * JITTER * random());
  }

  #lookIn(milliseconds: number): void {
    this.#timer = setTimeout(() => {
      this.#looking = this.#look();
    }, milliseconds);
    this.#timer.unref();
  }
}
