import type { Line, Sink, SinkStatus } from './sink.ts';
import { Spool, type SpoolOptions } from './spool.ts';
import { Uploader, type UploaderOptions } from './uploader.ts';

/** Events compress to a tenth, measured: so a file of the spool is one upload, also where they compress less well. */
const EXPANSION = 4;

export type HttpSinkOptions = Omit<SpoolOptions, 'segmentBytes'> & {
  upload: Omit<UploaderOptions, 'spool' | 'counts' | 'clock' | 'log'>;
};

/** To the service, by way of the spool: an event is on the disk, masked, before it is sent. */
export class HttpSink implements Sink {
  readonly #spool: Spool;
  readonly #uploader: Uploader;

  /** Throws `ConfigError` if the spool cannot be written. */
  static async open({ upload, ...options }: HttpSinkOptions): Promise<HttpSink> {
    const { clock, counts, log } = options;
    const spool = await Spool.open({ ...options, segmentBytes: upload.maxBytes * EXPANSION });
    const uploader = new Uploader({ ...upload, spool, counts, clock, log });
    uploader.start();
    return new HttpSink(spool, uploader);
  }

  private constructor(spool: Spool, uploader: Uploader) {
    this.#spool = spool;
    this.#uploader = uploader;
  }

  get spooled(): { events: number; bytes: number } {
    return this.#spool;
  }

  get status(): SinkStatus {
    return { lost: this.#spool.lost, upload: this.#uploader.problem };
  }

  async write(lines: readonly Line[]): Promise<void> {
    await this.#spool.append(lines.map(({ json }) => json));
    this.#uploader.notify();
  }

  async close(): Promise<void> {
    await this.#uploader.stop();
    await this.#spool.close();
  }
}
