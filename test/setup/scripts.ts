/** The project's scripts are plain JavaScript, because they run before anything is installed. Here are their types. */
export interface BringOptions {
  cacheDir: string;
  log: (line: string) => void;
}

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface MarkedCommand {
  line: number;
  text: string;
  exit: number;
  timeout: number;
  expect?: string;
  background: boolean;
}

interface Lockfile {
  packages: Record<string, unknown>;
}

interface Shell {
  output: string;
  done(command: { exit: number; expect?: string; timeout: number }): Promise<string | undefined>;
  ready(command: { expect: string; timeout: number }): Promise<string | undefined>;
  end(): Promise<void>;
}

interface Scripts {
  'build.mjs': { ensureBuilt(): Promise<void>; ensurePluginBuilt(): Promise<void> };
  'install.mjs': {
    ensureDependencies(options: { log: BringOptions['log']; root: string }): Promise<void>;
    checkNode(version: string): void;
  };
  'bring-redis.mjs': {
    bringRedis(options: BringOptions & { env?: Record<string, string> }): Promise<string>;
    redisTool(server: string, name: 'redis-cli' | 'redis-benchmark'): string;
  };
  'bring-node.mjs': { bringNode(options: BringOptions): Promise<string> };
  'bring-nginx.mjs': { bringNginx(options: BringOptions): Promise<string> };
  'bring-wrk.mjs': { bringWrk(options: BringOptions): Promise<string> };
  'bring-caddy.mjs': { bringCaddy(options: BringOptions): Promise<string> };
  'bring-chromium.mjs': { bringChromium(options: BringOptions): Promise<string> };
  'bring-faketime.mjs': { bringFaketime(options: BringOptions): Promise<string> };
  'bring-haproxy.mjs': { bringHaproxy(options: BringOptions): Promise<string> };
  'bring-pg-dump.mjs': { bringPgDump(options: BringOptions): Promise<string> };
  'bring-postgres.mjs': { bringPostgres(options: BringOptions): Promise<{ native: string; version: string }> };
  'bring-opa.mjs': { bringOpa(options: BringOptions): Promise<string> };
  'bring-stripe-mock.mjs': { bringStripeMock(options: BringOptions): Promise<string> };
  'bring-openclaw.mjs': {
    bringOpenClaw(options: BringOptions): Promise<{ node: string; program: string; version: string }>;
  };
  'bring-prometheus.mjs': {
    bringPrometheus(
      options: BringOptions,
    ): Promise<{ prometheus: string; promtool: string; alertmanager: string; amtool: string }>;
  };
  'bring-kubeconform.mjs': { bringKubeconform(options: BringOptions): Promise<{ program: string; schemas: string }> };
  'bring-compose-schema.mjs': { bringComposeSchema(options: BringOptions): Promise<string> };
  'lib/complete-lockfile.mjs': {
    completeLockfile(lockfile: Lockfile): { lockfile: Lockfile; added: string[] };
  };
  'lib/fault-files.mjs': { faultFiles(): Promise<string[]> };
  'lib/find-on-path.mjs': { findOnPath(name: string, env: NodeJS.ProcessEnv): string | undefined };
  'lib/lock.mjs': { withLock<T>(path: string, work: () => Promise<T>): Promise<T>; isAlive(pid: number): boolean };
  'lib/marked-commands.mjs': { markedCommands(markdown: string, file: string): MarkedCommand[] };
  'lib/provider-tables.mjs': { accountTables(accounts: unknown, now: number): Promise<string> };
  'lib/shell.mjs': { Shell: new (text: string, cwd: string) => Shell };
  'lib/vitest-report.mjs': {
    count(report: unknown, ok: boolean): Counts;
    countsLine(counts: Counts): string;
    failedFiles(report: unknown): { file: string; tests: string[] }[];
    withSecondRun(first: unknown, second: unknown): unknown;
  };
}

const folder = new URL('../../scripts/', import.meta.url);

export async function loadScript<Name extends keyof Scripts>(name: Name): Promise<Scripts[Name]> {
  return (await import(/* @vite-ignore */ new URL(name, folder).href)) as Scripts[Name];
}
