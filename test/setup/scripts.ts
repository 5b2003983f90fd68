/** The project's scripts are plain JavaScript, because they run before anything is installed. Here are their types. */
export interface BringOptions {
  cacheDir: string;
  log: (line: string) => void;
}

interface Scripts {
  'build.mjs': { ensureBuilt(): Promise<void> };
  'bring-redis.mjs': {
    bringRedis(options: BringOptions): Promise<string>;
    redisTool(server: string, name: 'redis-cli' | 'redis-benchmark'): string;
  };
  'bring-postgres.mjs': { bringPostgres(options: BringOptions): Promise<{ native: string; version: string }> };
  'bring-opa.mjs': { bringOpa(options: BringOptions): Promise<string> };
  'bring-compose-schema.mjs': { bringComposeSchema(options: BringOptions): Promise<string> };
  'lib/lock.mjs': { withLock<T>(path: string, work: () => Promise<T>): Promise<T>; isAlive(pid: number): boolean };
}

const folder = new URL('../../scripts/', import.meta.url);

export async function loadScript<Name extends keyof Scripts>(name: Name): Promise<Scripts[Name]> {
  return (await import(/* @vite-ignore */ new URL(name, folder).href)) as Scripts[Name];
}
