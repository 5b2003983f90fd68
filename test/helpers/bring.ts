import { leaveOut } from '../setup/leave-out.ts';
import { type BringOptions, loadScript } from '../setup/scripts.ts';
import { testRun } from '../setup/test-run.ts';

/** A hook that may have to bring OPA needs this much: compiling it took 134 s on two cores. Once it is cached, none of it. */
export const BRING_TIMEOUT_MS = 600_000;

/** Absolute path of a real redis-server. What cannot be brought leaves the test out, or fails it in CI; so below. */
export const bringRedis = (): Promise<string> =>
  bring(async (options) => (await loadScript('bring-redis.mjs')).bringRedis(options));

/** Absolute path of a real nginx. */
export const bringNginx = (): Promise<string> =>
  bring(async (options) => (await loadScript('bring-nginx.mjs')).bringNginx(options));

/** Absolute path of wrk, which makes the benchmark's load. */
export const bringWrk = (): Promise<string> =>
  bring(async (options) => (await loadScript('bring-wrk.mjs')).bringWrk(options));

/** Absolute path of a real Caddy. */
export const bringCaddy = (): Promise<string> =>
  bring(async (options) => (await loadScript('bring-caddy.mjs')).bringCaddy(options));

/** Absolute path of a real HAProxy. */
export const bringHaproxy = (): Promise<string> =>
  bring(async (options) => (await loadScript('bring-haproxy.mjs')).bringHaproxy(options));

/** Absolute path of libfaketime. */
export const bringFaketime = (): Promise<string> =>
  bring(async (options) => (await loadScript('bring-faketime.mjs')).bringFaketime(options));

/** Absolute path of a real Chromium. */
export const bringChromium = (): Promise<string> =>
  bring(async (options) => (await loadScript('bring-chromium.mjs')).bringChromium(options));

export const bringPostgres = (): Promise<{ native: string; version: string }> =>
  bring(async (options) => (await loadScript('bring-postgres.mjs')).bringPostgres(options));

/** Folder with `bin`, in which pg_dump, pg_restore and psql lie beside a PostgreSQL of their release. */
export const bringPgDump = (): Promise<string> =>
  bring(async (options) => (await loadScript('bring-pg-dump.mjs')).bringPgDump(options));

/** Absolute path of the pinned opa. */
export const bringOpa = (): Promise<string> =>
  bring(async (options) => (await loadScript('bring-opa.mjs')).bringOpa(options));

/** Absolute path of the pinned stripe-mock. */
export const bringStripeMock = (): Promise<string> =>
  bring(async (options) => (await loadScript('bring-stripe-mock.mjs')).bringStripeMock(options));

/** Absolute path of the Node that the image runs. */
export const bringNode = (): Promise<string> =>
  bring(async (options) => (await loadScript('bring-node.mjs')).bringNode(options));

/** The pinned OpenClaw and a Node that can run it. */
export const bringOpenClaw = (): Promise<{ node: string; program: string; version: string }> =>
  bring(async (options) => (await loadScript('bring-openclaw.mjs')).bringOpenClaw(options));

/** Absolute paths of a real Prometheus, an Alertmanager and their tools. */
export const bringPrometheus = (): Promise<{
  prometheus: string;
  promtool: string;
  alertmanager: string;
  amtool: string;
}> => bring(async (options) => (await loadScript('bring-prometheus.mjs')).bringPrometheus(options));

/** kubeconform, and what its `-schema-location` must be. */
export const bringKubeconform = (): Promise<{ program: string; schemas: string }> =>
  bring(async (options) => (await loadScript('bring-kubeconform.mjs')).bringKubeconform(options));

/** Path of the Compose specification's JSON schema. */
export const bringComposeSchema = (): Promise<string> =>
  bring(async (options) => (await loadScript('bring-compose-schema.mjs')).bringComposeSchema(options));

async function bring<T>(script: (options: BringOptions) => Promise<T>): Promise<T> {
  const { cacheDir, leaveOut: mayLeaveOut } = testRun();
  try {
    return await script({ cacheDir, log: (line) => console.warn(line) });
  } catch (error) {
    if (!mayLeaveOut) throw error;
    return leaveOut(error instanceof Error ? error.message : String(error));
  }
}
