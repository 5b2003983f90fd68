import { readFileSync } from 'node:fs';
import { mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { bringNginx } from './bring.ts';
import { Child } from './child.ts';
import { eventually } from './eventually.ts';
import { onFreePort } from './free-port.ts';
import { tempDir } from './temp-dir.ts';

const ACCESS_LOG = 'access.log';

export interface NginxOptions {
  /** Only who has this bearer token is served. */
  token?: string;
  /** Bytes a second for each answer: for a server that is slow. */
  rate?: number;
}

/** A real nginx that serves files with ETags, and logs `<status> <method> <path> <If-None-Match>` for each request. */
export class Nginx {
  readonly url: string;
  readonly #root: string;
  readonly #start: () => Promise<Child>;
  #child: Child;
  /** When the last file was put, in epoch seconds. */
  #changed = 1_700_000_000;

  constructor(url: string, root: string, child: Child, start: () => Promise<Child>) {
    this.url = url;
    this.#root = root;
    this.#child = child;
    this.#start = start;
  }

  /** All requests that have been answered so far. */
  get requests(): string[] {
    return readFileSync(join(this.#root, '..', ACCESS_LOG), 'utf8')
      .split('\n')
      .filter(Boolean);
  }

  /**
   * Puts a file in place of another at once, as a deployment should. Each is a second younger than the one before: nginx makes its
   * ETag of the second and the size, so two of one size and second are the same to it.
   */
  async put(name: string, bytes: Uint8Array): Promise<void> {
    const building = join(this.#root, `.${name}.new`);
    await writeFile(building, bytes, { mode: 0o644 });
    this.#changed += 1;
    await utimes(building, this.#changed, this.#changed);
    await rename(building, join(this.#root, name));
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.#root, name));
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }

  async restart(): Promise<void> {
    await this.stop();
    this.#child = await this.#start();
  }

  /** Keeps its connections and answers nothing, until `thaw`. */
  freeze = (): Promise<void> => this.#child.kill('SIGSTOP');
  thaw = (): Promise<void> => this.#child.kill('SIGCONT');
}

/** Ended with the test, or with the file that starts it in a `beforeAll`. */
export const startNginx = (options: NginxOptions = {}): Promise<Nginx> =>
  startNginxOn((port, dir) => configuration(port, dir, options));

/** The same with a configuration of one's own. `dir` has folders `files` and `temp`. */
export async function startNginxOn(configure: (port: number, dir: string) => string): Promise<Nginx> {
  const program = await bringNginx();
  const dir = await tempDir('nginx');
  const root = join(dir, 'files');
  for (const folder of [root, join(dir, 'temp')]) await mkdir(folder);
  return onFreePort(
    async (port) => {
      const file = join(dir, 'nginx.conf');
      await writeFile(file, configure(port, dir));
      const start = async () => {
        const child = new Child(program, { args: ['-p', dir, '-c', file, '-e', 'stderr'], cwd: dir });
        await child.whileRunning(listening(port));
        return child;
      };
      return new Nginx(`http://127.0.0.1:${port}`, root, await start(), start);
    },
    (error) => /Address already in use/.test(String(error)),
  );
}

/** One process: what is frozen, is frozen as a whole. */
function configuration(port: number, dir: string, { rate, token }: NginxOptions): string {
  return withinHttp(
    dir,
    `
  log_format asked '$status $request_method $uri $http_if_none_match';
  access_log ${dir}/${ACCESS_LOG} asked;
  server {
    listen 127.0.0.1:${port};
    root ${dir}/files;
    ${token ? `if ($http_authorization != "Bearer ${token}") { return 401; }` : ''}
    ${rate ? `limit_rate ${rate};` : ''}
  }`,
  );
}

/** What stands around the http block's content. */
export function withinHttp(dir: string, content: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${dir}/temp;`,
  );
  return `
daemon off;
master_process off;
pid ${dir}/nginx.pid;
events { worker_connections 256; }
http {
  ${temporary.join('\n  ')}
  ${content}
}
`;
}

const listening = (port: number) =>
  eventually(
    () =>
      new Promise<void>((resolve, reject) => {
        const socket = connect(port, '127.0.0.1', () => {
          socket.destroy();
          resolve();
        }).on('error', reject);
      }),
  );
